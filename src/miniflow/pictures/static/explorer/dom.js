// Small helpers for HTML. Text is only ever set as text, so a name is never more than a name.

import { heatMap } from "./heat.js";
import { isNumber, levelsOf, number, only, shapeText, statistics } from "./numbers.js";

/** An HTML element with attributes (`onclick` and the like are listeners), and text or children. */
export function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A formula: runs of text, each in its ink. @param {import("./words.js").Span[]} spans */
export function formula(spans) {
  return html("p", { class: "formula" }, ...spans.map(([text, ink]) => html("span", { class: ink }, text)));
}

/**
 * A value with its label: a number beside it, an array below it.
 * @param {string} label @param {?import("./numbers.js").Tensor} tensor @param {string} ink "value" or "gradient"
 */
export function quantity(label, tensor, ink, absent = "not known") {
  const simple = !tensor || tensor.text || isNumber(tensor);
  const shape =
    !simple && shapeText(tensor)
      ? html("span", { class: "shape" }, `${shapeText(tensor)} ${tensor.dtype}`)
      : null;
  const head = html("span", { class: "name" }, label);
  if (simple) {
    const text = !tensor ? absent : (tensor.text ?? number(only(tensor)));
    const full = isNumber(tensor) ? String(only(tensor)) : null;
    return html(
      "div",
      { class: "quantity" },
      head,
      html("span", { class: tensor ? `number ${ink}` : "absent", "data-full": full, title: full }, text),
    );
  }
  return html(
    "div",
    { class: "quantity tall" },
    head,
    shape,
    tensor.data ? table(tensor, ink) : picture(tensor, ink),
  );
}

/** Every entry of a small array: rows are all axes but the last. */
function table(tensor, ink) {
  const columns = tensor.shape.at(-1) || 1;
  const rows = [];
  for (let i = 0; i < tensor.data.length; i += columns) {
    const cells = Array.from(tensor.data.slice(i, i + columns), (x) =>
      html("td", { "data-full": String(x), title: String(x) }, number(x)),
    );
    rows.push(html("tr", {}, ...cells));
  }
  if (!rows.length) return html("span", { class: "absent" }, "empty");
  return html(
    "div",
    {
      class: "scroll",
      tabindex: rows.length > 6 || columns > 5 ? 0 : null,
      role: "group",
      "aria-label": "entries",
    },
    html("table", { class: `number ${ink}` }, html("tbody", {}, ...rows)),
  );
}

/** What is known of a large one. */
function picture(tensor, ink) {
  const levels = levelsOf(tensor);
  const image = levels.length
    ? html("img", { class: "heat", src: heatMap(levels), alt: "heat map: blue below zero, orange above" })
    : null;
  return html(
    "div",
    { class: "summary" },
    image,
    html("span", { class: `number ${ink}` }, statistics(tensor)),
  );
}

/** The source of a method, with its file and line. @param {?{title: string, where: string, lines: [string, string][][], why: string}} code */
export function codeBlock(code) {
  if (!code) return null;
  const head = html(
    "p",
    { class: "where" },
    html("span", {}, code.title),
    html("span", { class: "dim" }, code.where),
  );
  if (code.why) return html("section", { class: "code" }, head, html("p", { class: "absent" }, code.why));
  const lines = code.lines.map((tokens) =>
    html(
      "span",
      { class: "line" },
      ...tokens.map(([kind, text]) => (kind ? html("span", { class: kind }, text) : text)),
      "\n",
    ),
  );
  return html(
    "section",
    { class: "code" },
    head,
    html(
      "pre",
      { class: "scroll", tabindex: 0, "aria-label": `source of ${code.title}` },
      html("code", {}, ...lines),
    ),
  );
}
