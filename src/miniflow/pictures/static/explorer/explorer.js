// The explorer: puts the parts together, and takes a person through a pass step by step.

import { html } from "./dom.js";
import { Live } from "./live.js";
import { Panel } from "./panel.js";
import { Pass } from "./pass.js";
import { Stage } from "./stage.js";
import { Progress, stepsOf } from "./steps.js";
import { Workbench } from "./workbench.js";

const PACE = 1300; // milliseconds a step when it plays by itself
const SWIPE = 45; // pixels that a finger moves at least

export class Explorer {
  /**
   * @param {HTMLElement} root an empty element
   * @param {object} graph the page's data
   * @param {?{look: Function, step: ?Function, typedArray: Function}} programs
   * @param {{wholePage?: boolean}} how `wholePage`: keys work wherever the focus is
   */
  constructor(root, graph, programs, { wholePage = false } = {}) {
    this.root = root;
    this.graph = graph;
    this.steps = stepsOf(graph.nodes, graph.recorded.handed);
    this.position = 0;
    this.live = programs && graph.live ? new Live(graph, this.steps, programs) : null;
    this.pass = Pass.recorded(graph, this.steps);
    this.build();
    this.listen(wholePage ? document : root);
    this.stage.draw();
    this.go(0);
  }

  build() {
    const { graph, root } = this;
    root.classList.add("mfx");
    root.setAttribute("role", "region");
    root.setAttribute("aria-label", graph.title);
    const status = html(
      "p",
      {
        class: this.live ? "status live" : "status",
        title: this.live
          ? "change a number: everything is computed anew, in this page"
          : "these are the numbers of the pass that was recorded",
      },
      this.live ? "live" : "recorded",
    );
    const scroller = html("div", {
      class: "scroller",
      tabindex: 0,
      role: "group",
      "aria-label": "the graph; arrow keys step through the pass",
    });
    const panel = html("aside", { class: "panel", "aria-label": "this step" });
    const bench = html("div", { class: "workbench" });
    const head = html("header", {}, html("h2", {}, graph.title), status);
    const stage = html("div", { class: "stage" }, scroller, this.zoomButtons());
    root.replaceChildren(html("div", { class: "body" }, head, stage, this.controls(), panel, bench));
    this.stage = new Stage(scroller, graph, {
      node: (i) => this.visit(i),
      toggle: (group) => this.toggle(group),
    });
    this.panel = new Panel(panel, graph);
    if (this.live)
      this.workbench = new Workbench(bench, graph, this.live, (trained) => this.recompute(trained));
    else bench.append(html("p", { class: "note" }, html("strong", {}, "Not live. "), graph.whyNotLive));
  }

  zoomButtons() {
    const button = (text, label, factor) =>
      html("button", { type: "button", "aria-label": label, onclick: () => this.magnify(factor) }, text);
    return html(
      "div",
      { class: "zoom" },
      button("+", "larger", 1.25),
      button("−", "smaller", 0.8),
      button("fit", "fit the graph into the window", 0),
    );
  }

  controls() {
    const button = (text, label, action, more = "") =>
      html(
        "button",
        { type: "button", class: more, "aria-label": label, title: label, onclick: action },
        text,
      );
    this.playButton = button("▶", "play", () => this.play(), "play");
    this.slider = html("input", {
      type: "range",
      min: 0,
      max: this.steps.length - 1,
      step: 1,
      "aria-label": "step",
    });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    this.count = html("span", { class: "count" });
    this.back = button("‹", "one step back", () => this.go(this.position - 1), "back");
    this.next = button("›", "one step on", () => this.go(this.position + 1), "next");
    return html(
      "nav",
      { class: "controls", "aria-label": "steps" },
      button("«", "to the start", () => this.go(0), "first"),
      this.back,
      this.playButton,
      this.next,
      button("»", "to the end", () => this.go(this.steps.length - 1), "last"),
      this.slider,
      this.count,
    );
  }

  listen(target) {
    target.addEventListener("keydown", (event) => this.key(event));
    this.root.setAttribute("tabindex", "-1");
    const panel = this.root.querySelector(".panel");
    let from = null;
    panel.addEventListener(
      "touchstart",
      ({ target: at, touches: [touch] }) => {
        from = at.closest(".scroll") ? null : [touch.clientX, touch.clientY];
      },
      { passive: true },
    );
    panel.addEventListener("touchend", ({ changedTouches: [touch] }) => {
      if (!from) return;
      const [dx, dy] = [touch.clientX - from[0], touch.clientY - from[1]];
      if (Math.abs(dx) > SWIPE && Math.abs(dx) > 1.5 * Math.abs(dy))
        this.go(this.position + (dx < 0 ? 1 : -1));
    });
    new ResizeObserver(() => this.fit()).observe(this.root);
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const moves = {
      ArrowRight: this.position + 1,
      ArrowLeft: this.position - 1,
      Home: 0,
      End: this.steps.length - 1,
    };
    const onButton = event.target.closest?.("button, summary, a, [role=button]");
    if (event.key in moves) this.go(moves[event.key]);
    else if (event.key === " " && !onButton) this.play();
    else return;
    event.preventDefault();
  }

  /** Go to a step. @param {number} position */
  go(position, byItself = false) {
    if (!byItself) this.pause();
    this.position = Math.max(0, Math.min(this.steps.length - 1, position));
    this.show();
  }

  show() {
    const step = this.steps[this.position];
    const progress = new Progress(this.steps, this.position);
    this.stage.show(step, progress, this.pass);
    this.panel.show(step, this.pass);
    this.slider.value = String(this.position);
    this.slider.setAttribute(
      "aria-valuetext",
      `${this.position} of ${this.steps.length - 1}, ${this.panel.title(step)}`,
    );
    this.count.textContent = `${this.position} / ${this.steps.length - 1}`;
    this.back.setAttribute("aria-disabled", String(this.position === 0));
    this.next.setAttribute("aria-disabled", String(this.position === this.steps.length - 1));
  }

  /** To the step in which a node gets its value, or, from there, its gradient. @param {number} node */
  visit(node) {
    const find = (test) => this.steps.findIndex(test);
    const forward = find(({ kind, node: i }) => kind === "forward" && i === node);
    const backward = find(
      ({ kind, node: i, source, nth, of }) =>
        (kind === "backward" && source === node && nth === of) || (kind === "seed" && i === node),
    );
    this.go(this.position === forward && backward > 0 ? backward : forward);
  }

  /** Open or close a group. @param {number} group */
  toggle(group) {
    this.stage.toggle(group);
    this.show();
    const again = this.root.querySelector(`[data-group="${group}"]`);
    again?.focus({ preventScroll: true });
  }

  /** @param {number} factor */
  magnify(factor) {
    this.stage.magnify(factor);
    this.show();
  }

  /** The picture again, where the window has another size now. */
  fit() {
    const size = `${this.stage.scroller.clientWidth} ${this.stage.scroller.clientHeight}`;
    if (size === this.size) return;
    this.size = size;
    this.stage.draw();
    this.show();
  }

  /** New numbers from the page's own engine. @param {boolean} trained @returns {number} the output */
  recompute(trained) {
    this.pass = this.live.pass();
    if (trained || this.position === 0) this.position = this.steps.length - 1;
    this.show();
    return Number(this.pass.values.at(-1).data?.[0]);
  }

  /** Go on by itself, from the start if it is at the end; or stop. */
  play() {
    if (this.timer) return this.pause();
    if (this.position === this.steps.length - 1) this.position = 0;
    this.playButton.textContent = "❚❚";
    this.playButton.setAttribute("aria-label", "pause");
    const tick = () => {
      this.go(this.position + 1, true);
      if (this.position === this.steps.length - 1 || !this.root.isConnected) this.pause();
    };
    this.timer = setInterval(tick, PACE);
    return tick();
  }

  pause() {
    clearInterval(this.timer);
    this.timer = 0;
    this.playButton.textContent = "▶";
    this.playButton.setAttribute("aria-label", "play");
  }
}

/** Put an explorer into an element. */
export function mount(root, graph, programs, how) {
  root.explorer = new Explorer(root, graph, programs, how);
  return root.explorer;
}
