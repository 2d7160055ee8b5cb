// The steps of a pass: forward node by node, then backward edge by edge.

/**
 * `forward`: `node` gets its value. `seed`: the gradient of the output with respect to itself.
 * `backward`: `node` hands its input `source` a share; it is share number `nth` of `of`.
 * @typedef {{kind: "start"|"forward"|"seed"|"backward"|"end", node: number, source: number,
 *   nth: number, of: number}} Step
 */

/**
 * All steps, first to last. No step is made of an edge to a constant: nobody asks for its gradient.
 * @param {{inbound: number[]}[]} nodes @param {Object<string, any>} handed by edge: what was recorded
 * @returns {Step[]}
 */
export function stepsOf(nodes, handed) {
  const output = nodes.length - 1;
  const step = (kind, node, more = {}) => ({ kind, node, source: -1, nth: 0, of: 0, ...more });
  const sources = nodes.map(({ inbound }, c) => [...new Set(inbound)].filter((s) => edgeKey(c, s) in handed));
  const consumers = nodes.map(() => 0);
  for (const source of sources.flat()) consumers[source]++;
  const given = nodes.map(() => 0);
  const backward = [];
  for (let c = output; c >= 0; c--) {
    for (const source of sources[c]) {
      given[source]++;
      backward.push(step("backward", c, { source, nth: given[source], of: consumers[source] }));
    }
  }
  return [
    step("start", -1),
    ...nodes.map((_, i) => step("forward", i)),
    step("seed", output),
    ...backward,
    step("end", -1),
  ];
}

/** The key of an edge, in what was recorded. @param {number} node @param {number} source */
export function edgeKey(node, source) {
  return `${node},${source}`;
}

/**
 * What is known after a step: which nodes have a value, which edges have been walked backward, and
 * in which order each node was handed its shares.
 */
export class Progress {
  /** @param {Step[]} steps @param {number} position */
  constructor(steps, position) {
    this.values = new Set();
    this.walked = new Set();
    /** @type {Map<number, number[]>} node → the consumers that have handed it a share */
    this.shares = new Map();
    this.seeded = false;
    for (const { kind, node, source } of steps.slice(0, position + 1)) {
      if (kind === "forward") this.values.add(node);
      if (kind === "seed") this.seeded = true;
      if (kind !== "backward") continue;
      this.walked.add(edgeKey(node, source));
      this.shares.set(source, [...(this.shares.get(source) ?? []), node]);
    }
  }
}
