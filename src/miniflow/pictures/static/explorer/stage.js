// The graph itself: cards, lines and frames as SVG, in the places that Python's layout has found.

import { groupCard, NodeCard } from "./cards.js";
import { isNumber, number, only } from "./numbers.js";
import { edgeKey } from "./steps.js";
import { clickable, svg } from "./svg.js";

const MARGIN = 16;
const LEAST_SCALE = 0.4; // below it nobody could read a card: then the picture scrolls
const MOST_SCALE = 1.25;

export class Stage {
  /**
   * @param {HTMLElement} scroller what the picture scrolls in
   * @param {object} graph the data of the page
   * @param {{node: (i: number) => void, toggle: (group: number) => void}} on what clicks do
   */
  constructor(scroller, graph, on) {
    this.scroller = scroller;
    this.graph = graph;
    this.on = on;
    this.zoom = 0;
    this.open = new Set(graph.layouts[0].open);
  }

  /** Open or close a group: take the layout nearest to that. @param {number} group */
  toggle(group) {
    const wanted = new Set(this.open);
    if (!wanted.delete(group)) wanted.add(group);
    const fits = this.graph.layouts.filter(({ open }) => open.includes(group) === wanted.has(group));
    const distance = ({ open }) => new Set([...open, ...wanted]).size * 2 - open.length - wanted.size;
    this.open = new Set(fits.reduce((best, l) => (distance(l) < distance(best) ? l : best)).open);
    this.draw();
  }

  /** The layout for the open groups that is drawn largest in the room there is. */
  choose() {
    const { clientWidth, clientHeight } = this.scroller;
    const fit = (l) =>
      Math.min(clientWidth / (l.width + 2 * MARGIN), clientHeight / (l.height + 2 * MARGIN), MOST_SCALE);
    const same = this.graph.layouts.filter(
      ({ open }) => open.length === this.open.size && open.every((g) => this.open.has(g)),
    );
    const best = same.reduce((a, b) => (fit(b) > fit(a) * 1.05 ? b : a));
    return { layout: best, scale: Math.max(LEAST_SCALE, fit(best)) };
  }

  /** Draw everything anew; `show` then says what is known. */
  draw() {
    const { layout, scale } = this.choose();
    this.layout = layout;
    this.scale = this.zoom || scale;
    const width = layout.width + 2 * MARGIN;
    const height = layout.height + 2 * MARGIN;
    this.root = svg("g", { transform: `translate(${MARGIN} ${MARGIN})` });
    this.picture = svg(
      "svg",
      {
        viewBox: `0 0 ${width} ${height}`,
        width: width * this.scale,
        height: height * this.scale,
        role: "group",
        "aria-label": this.graph.description,
      },
      this.root,
    );
    for (const frame of layout.frames) this.root.append(this.frame(frame));
    this.arrows = layout.arrows.map((arrow) => this.arrow(arrow));
    this.cards = layout.cards.map((card) => this.card(card));
    this.label = svg("g", { class: "share" });
    this.root.append(this.label);
    this.scroller.replaceChildren(this.picture);
  }

  frame([group, x, y, width, height]) {
    const { title } = this.graph.groups[group];
    const button = svg("g", {
      class: "toggle",
      "data-group": group,
      role: "button",
      tabindex: 0,
      "aria-expanded": "true",
      "aria-label": `Close the group ${title}`,
    });
    button.append(
      svg("rect", { x: x + 6, y: y + 5, width: 20, height: 20, rx: 5 }),
      svg("path", { d: `M${x + 11} ${y + 15}h10` }),
    );
    clickable(button, () => this.on.toggle(group));
    const heading = svg("text", { class: "label dim", x: x + 32, y: y + 19 }, title);
    return svg("g", {}, svg("rect", { class: "frame", x, y, width, height, rx: 10 }), heading, button);
  }

  arrow(arrow) {
    const forward = svg(
      "g",
      { class: "forward" },
      svg("path", { class: "edge", d: arrow.line }),
      svg("path", { class: "head", d: arrow.head }),
    );
    const back = svg(
      "g",
      { class: "backward" },
      svg("path", { class: "edge", d: arrow.back }),
      svg("path", { class: "head", d: arrow.tail }),
    );
    const group = svg("g", { class: "arrow" }, forward, back);
    this.root.append(group);
    return { ...arrow, group, path: forward.firstChild, keys: arrow.edges.map(([c, s]) => edgeKey(c, s)) };
  }

  card([key, x, y, width, height]) {
    const index = Number(key.slice(1));
    const isGroup = key[0] === "g";
    const place = { transform: `translate(${x} ${y})`, role: "button", "data-key": key };
    const group = svg("g", { class: "card", ...place });
    this.root.append(group);
    const card = { index, group, x, y, width, height, members: [index], face: null };
    if (isGroup) {
      card.members = this.graph.groups[index].nodes;
      group.setAttribute("data-group", String(index));
      groupCard(group, this.graph.groups[index], width, height);
    } else {
      card.face = new NodeCard(group, this.graph.nodes[index], width, height);
    }
    clickable(group, () => (isGroup ? this.on.toggle(index) : this.on.node(index)));
    return card;
  }

  /**
   * Write what is known on the cards, and light where the pass is.
   * @param {import("./steps.js").Step} step @param {import("./steps.js").Progress} progress
   * @param {import("./pass.js").Pass} pass
   */
  show(step, progress, pass) {
    const [nodes, edges] = lit(step, this.graph.nodes);
    const isStart = step.kind === "start";
    for (const { index, group, members, face } of this.cards) {
      const known = members.some((i) => progress.values.has(i));
      mark(
        group,
        members.some((i) => nodes.has(i)),
        known || isStart,
      );
      const value = known ? pass.values[index] : null;
      face?.write(value, pass.gradientSoFar(index, progress), isStart ? "" : "not run yet");
    }
    for (const arrow of this.arrows) this.showArrow(arrow, edges, progress, step);
    this.showShare(step, pass);
    this.follow(nodes);
  }

  showArrow({ group, keys, edges: pairs }, edges, progress, step) {
    const isNow = keys.some((key) => edges.has(key));
    const isReached = pairs.some(([, source]) => progress.values.has(source));
    group.classList.toggle("now", isNow);
    group.classList.toggle(
      "walked",
      keys.some((key) => progress.walked.has(key)),
    );
    group.classList.toggle("ahead", !isReached && step.kind !== "start");
    if (isNow) this.root.insertBefore(group, this.cards[0].group); // on top of the other lines
  }

  /** The number that is handed over, on the line that it takes. */
  showShare(step, pass) {
    this.label.replaceChildren();
    const key = edgeKey(step.node, step.source);
    const arrow = step.kind === "backward" && this.arrows.find(({ keys }) => keys.includes(key));
    const handed = arrow && pass.handed.get(key);
    if (!isNumber(handed)) return;
    const { x, y } = arrow.path.getPointAtLength(arrow.path.getTotalLength() / 2);
    const text = number(only(handed));
    const width = text.length * 7 + 12;
    this.label.append(
      svg("rect", { class: "plate", x: x - width / 2, y: y - 10, width, height: 20, rx: 10 }),
      svg("text", { class: "number gradient", x, y: y + 4, "text-anchor": "middle" }, text),
    );
  }

  /** Keep what is lit in view: all of it if there is room, else the last of these nodes. @param {Set<number>} nodes */
  follow(nodes) {
    const shown = this.cards.filter(({ members }) => members.some((i) => nodes.has(i)));
    const last = this.cards.filter(({ members }) => members.includes([...nodes].at(-1)));
    if (!shown.length) return;
    const middle = (start, size, room) => {
      const [low, high] = extent(shown, start, size);
      const [first, second] = (high - low) * this.scale < room ? [low, high] : extent(last, start, size);
      return (first + second) / 2 + MARGIN - room / this.scale / 2;
    };
    const { clientWidth, clientHeight, scrollLeft, scrollTop } = this.scroller;
    const left = middle("x", "width", clientWidth) * this.scale;
    const top = middle("y", "height", clientHeight) * this.scale;
    const isFar = Math.abs(left - scrollLeft) > clientWidth || Math.abs(top - scrollTop) > clientHeight;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ left, top, behavior: isFar || isCalm ? "auto" : "smooth" });
  }

  /** Larger, smaller, or (0) as large as fits. @param {number} factor */
  magnify(factor) {
    this.zoom = factor ? Math.max(0.2, Math.min(3, this.scale * factor)) : 0;
    this.draw();
  }
}

/** From where to where some cards reach. */
function extent(cards, start, size) {
  return [Math.min(...cards.map((c) => c[start])), Math.max(...cards.map((c) => c[start] + c[size]))];
}

/** The nodes and the edges that a step is about. @returns {[Set<number>, Set<string>]} */
function lit(step, nodes) {
  if (step.kind === "forward") {
    const edges = nodes[step.node].inbound.map((source) => edgeKey(step.node, source));
    return [new Set([step.node]), new Set(edges)];
  }
  if (step.kind === "backward")
    return [new Set([step.node, step.source]), new Set([edgeKey(step.node, step.source)])];
  return [new Set(step.kind === "seed" ? [step.node] : []), new Set()];
}

function mark(group, isNow, isKnown) {
  group.classList.toggle("now", isNow);
  group.classList.toggle("ahead", !isKnown);
  if (isNow) group.setAttribute("aria-current", "step");
  else group.removeAttribute("aria-current");
}
