// Changing numbers and training: whatever is changed, the whole pass is computed anew.

import { drawCurve, inWords } from "./curve.js";
import { html } from "./dom.js";

const MOST_FIELDS = 64; // entries of an array that is edited by hand
const FRAME = 10; // milliseconds of training between two pictures

export class Workbench {
  /**
   * @param {HTMLElement} root
   * @param {object} graph the page's data
   * @param {import("./live.js").Live} live
   * @param {(trained: boolean) => number} changed computes and shows everything anew; returns the loss
   */
  constructor(root, graph, live, changed) {
    this.graph = graph;
    this.live = live;
    this.changed = changed;
    this.fields = [];
    this.busy = false;
    this.message = html("p", { class: "message", role: "status", "aria-live": "polite" });
    root.append(this.numbers(), graph.live.step ? this.training() : this.noTraining());
  }

  noTraining() {
    const why = html("p", {}, html("strong", {}, "No training. "), this.graph.live.whyNoStep);
    return html("div", { class: "note" }, why, this.message);
  }

  // --- Numbers

  numbers() {
    const editors = Object.keys(this.graph.live.arguments)
      .filter((key) => key.startsWith("node "))
      .map((key) => this.editor(key, this.graph.nodes[Number(key.slice(5))]));
    const reset = html("button", { type: "button", class: "reset", onclick: () => this.reset() }, "Reset");
    return html(
      "section",
      { class: "numbers" },
      html("div", { class: "heading" }, html("h3", {}, "Change a number"), reset),
      html("div", { class: "editors" }, ...editors),
    );
  }

  /** Fields for an argument: what is fed to a node, or kept by it. */
  editor(key, node) {
    const { kind, shape, dtype } = this.graph.live.arguments[key];
    const size = shape.reduce((product, n) => product * n, 1);
    const label = node.inbound.length ? `gradient of ${node.name}` : node.name;
    const aside = node.shape ? html("span", { class: "shape" }, ` ${node.shape}`) : "";
    const name = html("span", { class: "name" }, label, aside);
    const whole = /^[iub]/.test(dtype);
    if (kind !== "array" || !shape.length) {
      const parts = [this.field(key, 0, label, whole), this.slider(key, label, whole)];
      return html("label", { class: "editor" }, name, ...parts);
    }
    if (size > MOST_FIELDS) {
      const why = `${size.toLocaleString("en")} numbers: not edited by hand`;
      return html("p", { class: "editor" }, name, html("span", { class: "absent" }, why));
    }
    const entry = (_, i) => this.field(key, i, `${label}, entry ${position(i, shape)}`, whole);
    const style = `--columns: ${shape.at(-1) || 1}`;
    const grid = html("div", { class: "grid scroll", style }, ...Array.from({ length: size }, entry));
    return html("details", { class: "editor" }, html("summary", {}, name), grid);
  }

  field(key, i, label, whole) {
    const field = html("input", {
      type: "number",
      step: whole ? 1 : "any",
      "aria-label": label,
      "data-key": key,
      "data-entry": i,
    }); // no `inputmode`: a phone's keys for decimals may have no minus

    const show = () => {
      if (document.activeElement !== field) field.value = shortest(this.live.entry(key, i));
    };
    field.addEventListener("input", () => this.change(key, i, field));
    field.addEventListener("blur", () => {
      field.removeAttribute("aria-invalid");
      show();
    });
    this.fields.push(show);
    show();
    return field;
  }

  slider(key, label, whole) {
    const start = this.live.entry(key, 0);
    const reach = Math.max(5, 2 * Math.abs(start));
    const slider = html("input", {
      type: "range",
      min: -reach,
      max: reach,
      step: whole ? 1 : reach / 200,
      "aria-label": `${label}, slider`,
    });
    slider.addEventListener("input", () => this.change(key, 0, slider));
    const show = () => (slider.value = String(this.live.entry(key, 0)));
    this.fields.push(show);
    show();
    return slider;
  }

  /** Take the number that was written into a field; what is not one, or is refused, is marked. */
  change(key, i, field) {
    const x = field.value.trim() === "" ? NaN : Number(field.value);
    const fits = Number.isFinite(x) && !field.validity.stepMismatch; // a label is a whole number
    const isTaken = fits && this.take(key, i, x);
    if (isTaken) field.removeAttribute("aria-invalid");
    else field.setAttribute("aria-invalid", "true");
  }

  take(key, i, x) {
    const before = this.live.entry(key, i);
    this.live.change(key, i, x);
    if (key === "lr" || !this.recompute(false)) return true;
    this.live.change(key, i, before);
    return false;
  }

  /** Compute anew and show it; say why, where the program refuses the numbers. @returns {?Error} */
  recompute(trained) {
    try {
      this.loss = this.changed(trained);
    } catch (error) {
      this.message.textContent = error.message;
      return error;
    }
    this.show();
    return null;
  }

  show() {
    for (const show of this.fields) show();
    this.message.textContent = this.picture ? inWords(this.curve()) : "";
    if (this.picture) drawCurve(this.picture, this.curve());
  }

  reset() {
    this.stop = true;
    this.live.reset();
    this.recompute(false);
  }

  // --- Training

  training() {
    const { optimizer, arguments: given } = this.graph.live;
    const button = (text, action) => html("button", { type: "button", onclick: action }, text);
    this.buttons = [
      button(`1 step`, () => this.train(1)),
      button("10", () => this.train(10)),
      button("100 steps", () => this.train(100)),
    ];
    this.buttons[1].setAttribute("aria-label", "10 steps");
    this.picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.picture.setAttribute("class", "curve");
    drawCurve(this.picture, []);
    this.message.textContent = inWords([]);
    const rate = given.lr
      ? html("label", { class: "rate" }, "learning rate ", this.field("lr", 0, "learning rate", false))
      : null;
    return html(
      "section",
      { class: "training" },
      html("div", { class: "heading" }, html("h3", {}, `Train with ${optimizer}`), rate),
      html("div", { class: "buttons" }, ...this.buttons),
      this.picture,
      this.message,
    );
  }

  /** The losses so far, and the one now. */
  curve() {
    return this.live.losses.length ? [...this.live.losses, this.loss] : [];
  }

  /** Take training steps, a few in each frame, so that the curve can be watched. @param {number} steps */
  train(steps) {
    if (this.busy) return;
    this.busy = true;
    this.stop = false;
    this.left = steps;
    for (const button of this.buttons) button.setAttribute("aria-disabled", "true");
    this.frame();
  }

  frame() {
    const refused = this.stepUntil(performance.now() + FRAME);
    const error = this.stop ? null : (this.recompute(true) ?? refused);
    if (error) this.message.textContent = error.message;
    if (this.left && !this.stop && !error) {
      requestAnimationFrame(() => this.frame());
      return;
    }
    for (const button of this.buttons) button.removeAttribute("aria-disabled");
    this.busy = false;
  }

  /** Steps until a time, or until a step is refused. @returns {?Error} */
  stepUntil(end) {
    try {
      for (; this.left && !this.stop && performance.now() < end; this.left--) this.live.stepOnce();
      return null;
    } catch (error) {
      return error;
    }
  }
}

/** The indices of an entry: "1, 2". */
function position(i, shape) {
  const places = [];
  for (const n of [...shape].reverse()) {
    places.unshift(i % n);
    i = Math.floor(i / n);
  }
  return places.join(", ");
}

/** A number for a field: five digits fit, and the number itself is kept whole until it is edited. */
function shortest(x) {
  return String(Number(x.toPrecision(5)));
}
