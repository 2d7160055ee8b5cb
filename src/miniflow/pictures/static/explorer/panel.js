// What is told beside the graph: the sentence, the formula, the numbers and the code of a step.

import { codeBlock, formula, html, quantity } from "./dom.js";
import { edgeKey } from "./steps.js";
import { derivative, wordsFor } from "./words.js";

export class Panel {
  /** @param {HTMLElement} root @param {object} graph the page's data */
  constructor(root, graph) {
    this.graph = graph;
    this.open = true;
    this.heading = html("h3", {});
    this.sentence = html("p", { class: "sentence", role: "status", "aria-live": "polite" });
    this.details = html("div", { class: "details" });
    root.append(this.heading, this.sentence, this.details);
  }

  /** Tell of one step. @param {import("./steps.js").Step} step @param {import("./pass.js").Pass} pass */
  show(step, pass) {
    const words = wordsFor(step, this.graph, pass);
    this.heading.textContent = this.title(step);
    if (this.sentence.textContent !== words.sentence) this.sentence.textContent = words.sentence;
    this.details.replaceChildren(
      ...words.formulas.map(formula),
      ...(words.warning ? [html("p", { class: "warning", role: "alert" }, words.warning)] : []),
      ...this.body(step, pass).filter(Boolean),
    );
  }

  title({ kind, node, source }) {
    const name = (i) => this.graph.nodes[i].name;
    if (kind === "forward") return `Forward · ${name(node)}`;
    if (kind === "seed") return `Backward · ${name(node)}`;
    if (kind === "backward") return `Backward · ${name(node)} → ${name(source)}`;
    return kind === "start" ? "Before the pass" : "After the pass";
  }

  body(step, pass) {
    if (step.kind === "forward") return this.forward(step, pass);
    if (step.kind === "backward") return this.backward(step, pass);
    if (step.kind === "seed") return [quantity("gradient", pass.gradients[step.node], "gradient")];
    if (step.kind === "start") return [keys()];
    return this.outcome(pass);
  }

  forward({ node: i }, pass) {
    const node = this.graph.nodes[i];
    return [
      this.inputs(node, pass),
      html("section", {}, html("h4", {}, "Value"), quantity(node.name, pass.values[i], "value")),
      codeBlock(this.code(node, 0)),
      built(node),
    ];
  }

  backward(step, pass) {
    const { node: c, source: s } = step;
    const node = this.graph.nodes[c];
    const source = this.graph.nodes[s];
    const output = this.graph.nodes.at(-1);
    const key = edgeKey(c, s);
    const local = pass.local.get(key);
    const total = step.nth === step.of ? pass.gradients[s] : pass.partial(step);
    const soFar = step.nth < step.of ? ", so far" : "";
    return [
      html(
        "section",
        {},
        quantity(`upstream gradient  ${derivative(output, node)}`, pass.gradients[c], "gradient"),
        quantity(
          `local derivative  ${derivative(node, source)}${local.kind === "jacobian" ? " (Jacobian)" : ""}`,
          local.value,
          "value",
          notWritten(local, pass, c, s),
        ),
        quantity(`handed to ${source.name}`, pass.handed.get(key), "gradient"),
        step.of > 1
          ? quantity(
              `accumulated  ${derivative(output, source)}${soFar}`,
              total,
              "gradient",
              "known when all shares are in",
            )
          : null,
      ),
      codeBlock(this.code(node, 1)),
      this.inputs(node, pass),
      built(node),
    ];
  }

  inputs(node, pass) {
    if (!node.inbound.length) return null;
    const found = node.inbound.map((s) => quantity(this.graph.nodes[s].name, pass.values[s], "value"));
    const ontoggle = ({ target }) => (this.open = target.open); // as it was left, at the next step too
    return html(
      "details",
      { open: this.open, ontoggle },
      html("summary", {}, "The numbers that came in"),
      ...found,
    );
  }

  outcome(pass) {
    const { nodes } = this.graph;
    const output = nodes.at(-1);
    const found = nodes
      .map((node, i) => [node, i])
      .filter(([node, i]) => !node.inbound.length && !pass.isLabel(i))
      .slice(0, 12)
      .map(([node, i]) => quantity(derivative(output, node), pass.gradients[i], "gradient"));
    return [
      html("section", {}, quantity(output.name, pass.values.at(-1), "value")),
      html("section", {}, html("h4", {}, "Gradients"), ...found),
    ];
  }

  code(node, which) {
    return node.code && this.graph.codes[node.code[which]];
  }
}

/** Why there is no local derivative to show. */
function notWritten({ kind }, pass, c, s) {
  if (kind === "unknown") return "its backward could not be asked by itself";
  const rows = pass.values[c].shape.join("·") || 1;
  const columns = pass.values[s].shape.join("·") || 1;
  return `${rows} by ${columns}: multiplied by, never written out`;
}

function built(node) {
  return node.where === "unknown"
    ? null
    : html("p", { class: "built" }, `${node.class} built at ${node.where}`);
}

/** How to go on: with keys, or where there are none, with a finger; the style shows one of them. */
function keys() {
  const key = (name) => html("kbd", {}, name);
  const byKey = [key("→"), " next  ", key("←"), " back  ", key("space"), " play  ", key("Home"), " ", key("End")];
  return html(
    "div",
    {},
    html("p", { class: "keys" }, ...byKey, "  · or click a node"),
    html("p", { class: "touch" }, "Swipe here, or touch a node."),
  );
}
