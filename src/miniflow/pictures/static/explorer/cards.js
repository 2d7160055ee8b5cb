// The cards of the graph: one a node, one a closed group. Each kind has its own outline.

import { heatMap } from "./heat.js";
import { countNotFinite, isNumber, levelsOf, number, onOneLine } from "./numbers.js";
import { svg } from "./svg.js";

const SIDE = 12; // padding
const SYMBOL = 15; // the column of "=" and "∂"
const NUMBER_LINE = 15; // from the value to the gradient
const SHEETS = 6; // how far the sheets below a group's card stand out
const CHARACTER = 6.7; // width in the pictures' fixed-width font
const WIDEST_MAP = 96;

/** The card of a node, in a group that is placed by whoever draws. */
export class NodeCard {
  /** @param {SVGElement} group @param {object} node @param {number} width @param {number} height */
  constructor(group, node, width, height) {
    this.group = group;
    this.name = node.name;
    group.append(
      ...outline(node.kind, width, height),
      ...heading(node, width),
      svg("title", {}, node.statement),
    );
    if (height < 40) return; // a bare constant: its title is its value
    const top = node.face.subtitle ? 58 : 41;
    this.value = row(group, width, top, "=", "value");
    this.gradient = row(group, width, top + NUMBER_LINE, "∂", "gradient");
  }

  /**
   * Write what is known; null for what is not.
   * @param {?import("./numbers.js").Tensor} value @param {?import("./numbers.js").Tensor} gradient
   * @param {string} absent what stands in the place of a value that is not known
   */
  write(value, gradient, absent) {
    if (this.shown?.every((what, i) => what === [value, gradient, absent][i])) return;
    this.shown = [value, gradient, absent];
    if (this.value) {
      write(this.value, value, absent);
      write(this.gradient, gradient, "");
    }
    const spoken = [this.name, value ? `value ${onOneLine(value)}` : "not run yet"];
    if (gradient) spoken.push(`gradient ${onOneLine(gradient)}`);
    this.group.setAttribute("aria-label", spoken.join(", "));
  }
}

/** Draw the card of a closed group. */
export function groupCard(group, { title, subtitle, count }, width, height) {
  const sheet = { width: width - SHEETS, height: height - SHEETS, rx: 8 };
  const below = [SHEETS, SHEETS / 2].map((s) =>
    svg("rect", { class: "outline operation thin", x: s, y: s, ...sheet }),
  );
  group.append(
    ...below,
    svg("rect", { class: "outline operation", ...sheet }),
    svg("text", { class: "title", x: SIDE, y: 22 }, title),
    svg("text", { class: "label dim", x: SIDE, y: 39 }, subtitle),
    svg("text", { class: "label dim italic", x: SIDE, y: 56 }, count),
    svg("path", { class: "plus", d: `M${sheet.width - 22} 17h10m-5 -5v10` }),
  );
  group.setAttribute("tabindex", "0");
  group.setAttribute("aria-expanded", "false");
  group.setAttribute("aria-label", `Open the group ${title}, ${count}`);
}

function outline(kind, width, height) {
  if (kind === "parameter") {
    const [right, bottom] = [width - 7, height - 7];
    const d = `M7 0H${right}L${width} 7V${bottom}L${right} ${height}H7L0 ${bottom}V7Z`;
    return [svg("path", { class: "outline parameter", d })];
  }
  const radius = { input: Math.min(20, height / 2), constant: 2 }[kind] ?? 8;
  const edge = svg("rect", { class: `outline ${kind}`, width, height, rx: radius });
  if (kind !== "output") return [edge];
  const inner = { x: 3, y: 3, width: width - 6, height: height - 6, rx: 5 };
  return [edge, svg("rect", { class: "outline thin output", ...inner })];
}

function heading({ face, shape }, width) {
  const aside = { class: "small dim", x: width - SIDE, y: 21, "text-anchor": "end" };
  return [
    svg("text", { class: "title", x: SIDE, y: 22 }, face.title),
    svg("text", aside, shape),
    svg("text", { class: "label dim", x: SIDE, y: 38 }, face.subtitle),
  ];
}

/** A line for a number or a heat map. */
function row(group, width, y, symbol, ink) {
  const [x, room] = [SIDE + SYMBOL, width - 2 * SIDE - SYMBOL];
  const sign = svg("text", { class: `number ${ink}`, x: SIDE, y }, symbol);
  const text = svg("text", { class: `number ${ink}`, x, y });
  const size = { width: Math.min(room, WIDEST_MAP), height: 11, preserveAspectRatio: "none" };
  const image = svg("image", { x, y: y - 9, ...size });
  group.append(sign, text, image);
  return { sign, text, image, room };
}

/** A value in the room that there is: in words, else as a heat map, which cannot show a NaN. */
function write(row, tensor, absent) {
  const text = tensor ? onOneLine(tensor) : absent;
  const fits = !tensor || tensor.text || isNumber(tensor) || text.length * CHARACTER <= row.room;
  const odd = fits ? 0 : countNotFinite(tensor);
  const levels = fits || odd ? [] : levelsOf(tensor);
  const asMap = levels.length > 0;
  row.text.textContent = asMap ? "" : odd ? `${number(odd)} not finite` : text;
  row.text.classList.toggle("absent", !tensor);
  row.sign.classList.toggle("hidden", !tensor);
  row.image.classList.toggle("hidden", !asMap);
  if (asMap) row.image.setAttribute("href", heatMap(levels));
}
