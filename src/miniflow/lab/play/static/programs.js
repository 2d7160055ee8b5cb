// A network of somebody's own nodes: the programs that miniflow recorded of them, in JavaScript.

class ProgramEngine {
  /**
   * @param {Object} steps for each way to step, a function that makes its program
   * @param {Function} answer the one that makes the program of the logits
   * @param {TypedArray[]} first the first weights @param {number[][]} shapes theirs
   * @param {string[]} fed the names of the inputs: points, labels
   */
  constructor(steps, answer, first, shapes, fed) {
    this.programs = Object.fromEntries(Object.entries(steps).map(([way, make]) => [way, make([])]));
    this.answer = answer([]);
    this.first = first;
    this.shapes = shapes;
    this.fed = fed;
    this.parameters = first.map((value) => value.slice());
    this.forget();
  }

  /** Other first weights: matrices are drawn anew, with about the spread that they had. */
  restart() {
    for (const [k, value] of this.first.entries()) {
      const spread = this.shapes[k].length > 1 ? Math.sqrt(value.reduce((s, x) => s + x * x, 0) / value.length) : 0;
      const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
      for (let i = 0; i < value.length; i++) this.parameters[k][i] = spread ? spread * normal() : value[i];
    }
    this.forget();
  }

  forget() {
    this.states = {};
  }

  /** One argument for each input of a program. */
  arguments(program, points, rate, way) {
    let parameter = 0;
    let state = 0;
    const kept = (this.states[way] ??= []);
    return program.inputs.map(({ role, kind, name, shape, dtype }) => {
      if (role === "parameter") return this.parameters[parameter++];
      if (role === "hyper") return rate;
      if (role === "state") {
        const size = shape.reduce((a, b) => a * b, 1);
        const Class = { f64: Float64Array, f32: Float32Array, i64: BigInt64Array }[dtype];
        return (kept[state++] ??= new Class(size));
      }
      if (name === this.fed[1]) return LABELS;
      const fed = new Float64Array(shape[0] * 2); // of fewer points, the rest is not looked at
      points.forEach(([x, y], i) => fed.set([x, y], 2 * i));
      return fed;
    });
  }

  step(way, rate) {
    const program = this.programs[way];
    const [loss] = program.run(this.arguments(program, POINTS, rate, way));
    return loss;
  }

  probabilities(points) {
    const [scores] = this.answer.run(this.arguments(this.answer, points, 0, "answer"));
    return points.map((_, i) => 1 / (1 + Math.exp(scores[2 * i] - scores[2 * i + 1])));
  }
}
