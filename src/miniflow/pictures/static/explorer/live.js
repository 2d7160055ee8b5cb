// The page's own engine: the graph's programs as JavaScript, and the arguments that they run on.

import { Pass } from "./pass.js";

/** Runs the programs that were made from the nodes' own code. */
export class Live {
  /**
   * @param {object} graph the page's data
   * @param {import("./steps.js").Step[]} steps
   * @param {{look: Function, step: ?Function, typedArray: Function}} programs
   */
  constructor(graph, steps, programs) {
    this.graph = graph;
    this.steps = steps;
    this.typedArray = programs.typedArray;
    const { look, step } = graph.live;
    this.look = programs.look(this.constants(look));
    this.train = step && programs.step(this.constants(step));
    this.reset();
  }

  constants({ constants }) {
    return constants.map(([dtype, text]) => this.typedArray(dtype, text));
  }

  /** Put everything back to what was recorded. */
  reset() {
    /** @type {Map<string, any>} */
    this.arguments = new Map();
    for (const [key, { kind, dtype, text, value }] of Object.entries(this.graph.live.arguments)) {
      this.arguments.set(key, kind === "array" ? this.typedArray(dtype, text) : Number(value));
    }
    /** @type {number[]} the loss before each training step */
    this.losses = [];
  }

  /** Compute the whole pass anew. @returns {Pass} */
  pass() {
    const results = this.look.run(this.graph.live.look.inputs.map((key) => this.arguments.get(key)));
    return Pass.computed(this.graph, this.steps, results, this.look.outputs);
  }

  /** One training step. @returns {number} the loss before it */
  stepOnce() {
    const { inputs } = this.graph.live.step;
    const results = this.train.run(inputs.map((key) => this.arguments.get(key)));
    this.train.outputs.forEach(({ replaces }, i) => {
      if (replaces !== null) this.arguments.set(inputs[replaces], results[i]); // numbers are not updated in place
    });
    const loss = Number(typeof results[0] === "object" ? results[0][0] : results[0]);
    this.losses.push(loss);
    return loss;
  }

  /** One entry of an argument, as a number. @param {string} key @param {number} i */
  entry(key, i) {
    const value = this.arguments.get(key);
    return Number(typeof value === "object" ? value[i] : value);
  }

  /** Change one entry of an argument. @param {string} key @param {number} i @param {number} x */
  change(key, i, x) {
    const value = this.arguments.get(key);
    if (typeof value !== "object") this.arguments.set(key, x);
    else value[i] = typeof value[i] === "bigint" ? BigInt(Math.round(x)) : x;
  }
}
