// What a step says: one sentence, and the formula with its numbers.

import { bracketed, inWords, isNumber, number, only, shapeText, sizeOf } from "./numbers.js";
import { edgeKey } from "./steps.js";

/**
 * A run of text in one ink: "ink", "dim", "value" or "gradient".
 * @typedef {[string, string]} Span
 * @typedef {{sentence: string, formulas: Span[][], warning: string}} Words
 */

/** @type {Span} */
const EQUALS = ["  =  ", "dim"];

/** What a step says. @returns {Words} */
export function wordsFor(step, graph, numbers) {
  const say = { start: atStart, forward, seed, backward, end: atEnd }[step.kind];
  const { sentence, formulas = [], warning = "" } = say(step, graph, numbers);
  return { sentence, formulas, warning };
}

function atStart(_, { nodes }) {
  const leaves = nodes.filter((node) => !node.inbound.length).length;
  const what = `${count(nodes.length, "node")}, ${count(leaves, "of them an input", "of them inputs")}.`;
  const how =
    "The forward pass takes one node after the other, and then the backward pass one edge after the other.";
  return { sentence: `${what} Nothing has been computed yet. ${how}` };
}

function atEnd(_, { nodes }, numbers) {
  const output = nodes.at(-1);
  const value = inWords(numbers.values.at(-1));
  const sentence =
    `Both passes are done: ${output.name} is ${value}, and every node knows ` +
    `the gradient of ${output.name} with respect to itself.`;
  return { sentence };
}

function forward({ node: i }, { nodes }, numbers) {
  const node = nodes[i];
  const value = numbers.values[i];
  if (!node.inbound.length) return { sentence: leaf(node, value) };
  const inputs = node.inbound.map((s) => nodes[s].name);
  const args = node.inbound.map((s) => [nodes[s], numbers.values[s]]);
  const from = list(args.map(([source, v]) => withValue(source.name, v)));
  const known = node.name !== node.class ? [[`${node.name}  =  `, "ink"]] : [];
  const formula = [...known, [written(node, inputs), "ink"]];
  if (args.every(([, v]) => isNumber(v)) && isNumber(value)) {
    const numbers = args.map(([, v]) => bracketed(only(v)));
    formula.push(EQUALS, [written(node, numbers), "value"], EQUALS, [number(only(value)), "value"]);
  }
  const sentence =
    node.name === node.class
      ? `${node.class} computes ${inWords(value)} from ${from}.`
      : `${node.class} computes ${node.name} from ${from}: it is ${inWords(value)}.`;
  return { sentence, formulas: [formula] };
}

/** "x = 3"; the name alone for arrays, and for constants whose name is their value. */
function withValue(name, value) {
  return isNumber(value) && number(only(value)) !== name ? `${name} = ${number(only(value))}` : name;
}

function leaf(node, value) {
  const what = inWords(value);
  if (node.kind === "parameter") return `${node.name} is a parameter. It keeps its own value: ${what}.`;
  if (node.kind === "constant") return `${node.name} is a constant: ${what}.`;
  return `${node.name} is an input. It was fed ${what}.`;
}

/** An operation as it is written: "x · y", or "Mul(x, y)". */
function written(node, inputs) {
  if (!node.symbol) return `${node.class}(${inputs.join(", ")})`;
  return inputs.length === 1 ? `${node.symbol}${inputs[0]}` : inputs.join(` ${node.symbol} `);
}

function seed({ node: i }, { nodes }, numbers) {
  const node = nodes[i];
  const gradient = numbers.gradients[i];
  if (node.class === "DummyGrad") {
    return {
      sentence: `The backward pass begins at ${node.name}, whose upstream gradient was fed: ${inWords(gradient)}.`,
    };
  }
  const one = isNumber(gradient)
    ? `the gradient of ${node.name} with respect to itself is 1.`
    : `${node.name} is an array, and what is differentiated is the sum of its entries: ones, in its shape.`;
  const formula = [
    ...partial(node, node),
    EQUALS,
    [isNumber(gradient) ? number(only(gradient)) : "1", "gradient"],
  ];
  return { sentence: `The backward pass begins: ${one}`, formulas: [formula] };
}

function backward(step, { nodes }, numbers) {
  const node = nodes[step.node];
  const source = nodes[step.source];
  const output = nodes.at(-1);
  const handed = numbers.handed.get(edgeKey(step.node, step.source));
  const local = numbers.local.get(edgeKey(step.node, step.source));
  const upstream = numbers.gradients[step.node];
  const warning = disagreement(node, source, upstream, local, handed);
  const formulas = [product(step, { nodes }, { upstream, local, handed, warning })];
  if (step.of > 1) formulas.push(accumulated(step, { nodes }, numbers));
  const share = numbers.isLabel(step.source)
    ? `No gradient flows from ${node.name} to ${source.name}, whose whole numbers are labels or indices.`
    : `${node.name} hands ${source.name} ${warning ? inWords(handed) : howMuch(upstream, local, handed)}.`;
  return { sentence: `${share} ${soFar(step, source, output, numbers)}`.trim(), formulas, warning };
}

function howMuch(upstream, local, handed) {
  if ([upstream, local.value, handed].every(isNumber)) {
    const [up, own, share] = [upstream, local.value, handed].map((tensor) => number(only(tensor)));
    return `the upstream gradient ${up} times the local derivative ${own}, which is ${share}`;
  }
  const way = { elementwise: ", entry by entry", jacobian: " (a Jacobian)" }[local.kind] ?? "";
  return `the upstream gradient times its local derivative${way}: ${inWords(handed)}`;
}

function soFar(step, source, output, numbers) {
  if (step.of === 1) return "";
  const total = step.nth === step.of ? numbers.gradients[step.source] : numbers.partial(step);
  const sum = total && isNumber(total) ? `: ${number(only(total))}` : "";
  const nth = `That is share ${step.nth} of ${step.of}`;
  const others = step.of - step.nth === 1 ? "the other is" : "the others are";
  if (step.nth === 1) return `${nth}; ${others} still to come.`;
  const done =
    step.nth === step.of
      ? `the gradient of ${output.name} with respect to ${source.name} is complete`
      : "so far";
  return `${nth}. Shares are added up; ${done}${sum}.`;
}

/** ∂f/∂x ← ∂f/∂g · ∂g/∂x = 1 · 4 = 4 */
function product({ node: c, source: s }, { nodes }, { upstream, local, handed, warning }) {
  const [node, source, output] = [nodes[c], nodes[s], nodes.at(-1)];
  const times = { elementwise: "  ⊙  ", jacobian: "  ·  " }[local.kind] ?? "  ·  ";
  const formula = [
    ...partial(output, source),
    ["  ←  ", "dim"],
    ...partial(output, node),
    [times, "dim"],
    ...partial(node, source),
  ];
  if (isNumber(upstream) && isNumber(local.value) && isNumber(handed)) {
    formula.push(EQUALS, [`${bracketed(only(upstream))} · ${bracketed(only(local.value))}`, "gradient"]);
  }
  if (isNumber(handed))
    formula.push([warning ? "  ≠  " : "  =  ", "dim"], [number(only(handed)), "gradient"]);
  return formula;
}

/** ∂f/∂x = 4 + (−5) = −1 */
function accumulated(step, { nodes }, numbers) {
  const shares = numbers.shares(step);
  const formula = [...partial(nodes.at(-1), nodes[step.source]), EQUALS];
  const waiting = step.nth < step.of ? [["  +  …", "dim"]] : [];
  if (!shares.every(isNumber)) {
    return [
      ...formula,
      [step.nth > 1 ? `the sum of ${step.nth} shares` : "the first share", "gradient"],
      ...waiting,
    ];
  }
  const total = step.nth === step.of ? numbers.gradients[step.source] : numbers.partial(step);
  const terms = shares.map((share, i) => (i ? bracketed(only(share)) : number(only(share)))).join(" + ");
  formula.push([terms, "gradient"], ...waiting);
  if (step.nth > 1 && !waiting.length) formula.push(EQUALS, [number(only(total)), "gradient"]);
  return formula;
}

/** Where a node's backward leaves something else than upstream gradient times local derivative. */
function disagreement(node, source, upstream, local, handed) {
  const { kind, value } = local;
  if (!["number", "row", "elementwise"].includes(kind) || !value?.data || !handed.data || !upstream.data)
    return "";
  if (upstream.data.length !== 1 && upstream.data.length !== value.data.length) return "";
  const up = (i) => Number(upstream.data[upstream.data.length === 1 ? 0 : i]);
  const tolerance = [handed, upstream].some((t) => t.dtype === "float32" || t.dtype === "float16")
    ? 1e-3
    : 1e-6;
  for (let i = 0; i < handed.data.length; i++) {
    const expected = up(i) * Number(value.data[i]);
    const got = Number(handed.data[i]);
    if (!Number.isFinite(expected) || !Number.isFinite(got)) continue;
    if (Math.abs(expected - got) > tolerance * (1 + Math.abs(expected))) {
      const where = sizeOf(handed) > 1 ? `at entry ${i} of ${shapeText(handed)}, ` : "";
      return (
        `Something is wrong with ${node.class}'s backward: ${where}upstream gradient times local derivative is ${number(expected)}, ` +
        `and it left ${number(got)} for ${source.name}. Does it use the gradients of its consumers, and add?`
      );
    }
  }
  return "";
}

/** ∂f/∂x as spans. @returns {Span[]} */
function partial(output, node) {
  return [[derivative(output, node), "ink"]];
}

/** "∂f/∂x"; names that would be misread stand in brackets. */
export function derivative(output, node) {
  const name = (text) => (/[/ ·+*]/.test(text) ? `(${text})` : text);
  return `∂${name(output.name)}/∂${name(node.name)}`;
}

function list(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function count(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}
