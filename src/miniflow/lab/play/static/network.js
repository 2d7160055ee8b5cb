// Eight sigmoids and two logits, written by hand: forward, backward, and three ways to step. It is the
// network of the chapter on momentum, in a language of browsers.

const HIDDEN = 8;

class HandEngine {
  constructor() {
    this.seed = 3;
    this.restart();
  }

  /** Random numbers of about the size 1, the same ones for the same seed. */
  random() {
    let sum = 0;
    for (let k = 0; k < 12; k++) {
      this.seed = (Math.imul(this.seed, 1664525) + 1013904223) >>> 0;
      sum += this.seed / 2 ** 32;
    }
    return sum - 6;
  }

  /** Other first weights. */
  restart() {
    const normal = (n) => Float64Array.from({ length: n }, () => this.random());
    this.parameters = [normal(2 * HIDDEN), new Float64Array(HIDDEN), normal(2 * HIDDEN), new Float64Array(2)];
    this.forget();
  }

  /** What momentum and Adam remember, from the beginning. */
  forget() {
    this.kept = this.parameters.map((p) => [new Float64Array(p.length), new Float64Array(p.length)]);
    this.number = 0;
  }

  hidden(x, y) {
    const [W1, b1] = this.parameters;
    return Float64Array.from({ length: HIDDEN }, (_, j) => 1 / (1 + Math.exp(-(x * W1[j] + y * W1[HIDDEN + j] + b1[j]))));
  }

  /** The probability of "yes" at a point. */
  probability(x, y, h = this.hidden(x, y)) {
    const [, , W2, b2] = this.parameters;
    let difference = b2[1] - b2[0];
    for (let j = 0; j < HIDDEN; j++) difference += h[j] * (W2[2 * j + 1] - W2[2 * j]);
    return 1 / (1 + Math.exp(-difference));
  }

  probabilities(points) {
    return points.map(([x, y]) => this.probability(x, y));
  }

  /** One step; returns the loss before it. */
  step(way, rate) {
    const [, , W2] = this.parameters;
    const gradients = this.parameters.map((p) => new Float64Array(p.length));
    const [dW1, db1, dW2, db2] = gradients;
    let loss = 0;
    for (const [i, [x, y]] of POINTS.entries()) {
      const h = this.hidden(x, y);
      const p = this.probability(x, y, h);
      loss -= Math.log(Math.max(LABELS[i] ? p : 1 - p, 1e-300)) / 4;
      const force = [(1 - p - (LABELS[i] ? 0 : 1)) / 4, (p - (LABELS[i] ? 1 : 0)) / 4]; // softmax - one-hot
      for (let j = 0; j < HIDDEN; j++) {
        const back = (force[0] * W2[2 * j] + force[1] * W2[2 * j + 1]) * h[j] * (1 - h[j]);
        dW2[2 * j] += force[0] * h[j];
        dW2[2 * j + 1] += force[1] * h[j];
        dW1[j] += back * x;
        dW1[HIDDEN + j] += back * y;
        db1[j] += back;
      }
      db2[0] += force[0];
      db2[1] += force[1];
    }
    this.number += 1;
    for (const [k, w] of this.parameters.entries()) this.move(w, gradients[k], this.kept[k], way, rate);
    return loss;
  }

  move(w, g, [m, v], way, rate) {
    const [one, two] = [1 - 0.9 ** this.number, 1 - 0.999 ** this.number];
    for (let i = 0; i < w.length; i++) {
      if (way === "plain") w[i] -= rate * g[i];
      else if (way === "momentum") {
        m[i] = 0.9 * m[i] + g[i];
        w[i] -= rate * m[i];
      } else {
        m[i] = 0.9 * m[i] + 0.1 * g[i];
        v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
        w[i] -= (rate * (m[i] / one)) / (Math.sqrt(v[i] / two) + 1e-8);
      }
    }
  }
}

const makeEngine = () => new HandEngine();
