// The numbers of one pass, recorded or computed in the page, and what is known of them at a step.

import { computedTensor, recordedTensor, sumOf } from "./numbers.js";
import { edgeKey } from "./steps.js";

/** Values, gradients, shares and local derivatives of one pass. */
export class Pass {
  /** @param {object} graph the page's data @param {import("./steps.js").Step[]} steps */
  constructor(graph, steps) {
    this.nodes = graph.nodes;
    this.output = graph.nodes.length - 1;
    this.values = [];
    this.gradients = [];
    this.handed = new Map();
    this.local = new Map();
    this.labels = new Map();
    /** @type {Map<number, number[]>} node → its consumers, in the order in which they hand back */
    this.consumers = new Map();
    for (const { kind, node, source } of steps) {
      if (kind === "backward") this.consumers.set(source, [...(this.consumers.get(source) ?? []), node]);
    }
  }

  /** The pass that the interpreter ran. */
  static recorded(graph, steps) {
    const pass = new Pass(graph, steps);
    const { values, gradients, handed, local } = graph.recorded;
    pass.values = values.map(recordedTensor);
    pass.gradients = gradients.map(recordedTensor);
    for (const [key, value] of Object.entries(handed)) pass.handed.set(key, recordedTensor(value));
    for (const [key, { kind, value }] of Object.entries(local))
      pass.local.set(key, { kind, value: recordedTensor(value) });
    return pass;
  }

  /** A pass that a program has computed. @param {any[]} results @param {object[]} outputs of the program */
  static computed(graph, steps, results, outputs) {
    const pass = new Pass(graph, steps);
    for (const [key, { kind }] of Object.entries(graph.recorded.local))
      pass.local.set(key, { kind, value: null });
    const rows = new Map();
    graph.live.slots.forEach(([what, node, source, row], i) => {
      const tensor = computedTensor(results[i], outputs[i]);
      const key = edgeKey(node, source);
      if (what === "value") pass.values[node] = tensor;
      else if (what === "gradient") pass.gradients[node] = tensor;
      else if (what === "handed") pass.handed.set(key, tensor);
      else if (row < 0) pass.local.get(key).value = tensor;
      else rows.set(key, [...(rows.get(key) ?? []), tensor]);
    });
    for (const [key, found] of rows) pass.local.get(key).value = stacked(found);
    return pass;
  }

  /** The shares that the source of a backward step has been handed, this one included. */
  shares({ source, nth }) {
    return this.consumers
      .get(source)
      .slice(0, nth)
      .map((node) => this.handed.get(edgeKey(node, source)));
  }

  /** Their sum; null where the entries are not known. */
  partial(step) {
    return sumOf(this.shares(step));
  }

  /** What a node knows of its gradient after some steps; null for nothing, and where none flows. */
  gradientSoFar(node, progress) {
    if (this.isLabel(node)) return null;
    if (node === this.output) return progress.seeded ? this.gradients[node] : null;
    const nth = progress.shares.get(node)?.length ?? 0;
    if (nth === this.consumers.get(node)?.length) return this.gradients[node];
    return nth ? this.partial({ source: node, nth }) : null;
  }

  /** Whether no gradient flows to a node: a constant, or whole numbers that are labels or indices. */
  isLabel(node) {
    if (!this.labels.has(node)) this.labels.set(node, this.looksLikeLabel(node));
    return this.labels.get(node);
  }

  looksLikeLabel(node) {
    if (!this.gradients[node]) return true;
    const { data, summary } = this.gradients[node];
    const isZero = data ? Array.from(data).every((x) => Number(x) === 0) : summary.norm === 0;
    return /int|bool/.test(this.values[node].dtype) && isZero;
  }
}

/** Rows of a Jacobian as one matrix. */
function stacked(rows) {
  const data = rows.flatMap((row) => Array.from(row.data, Number));
  return { shape: [rows.length, data.length / rows.length], dtype: rows[0].dtype, data };
}
