// The loss, step by step, as a line.

import { number } from "./numbers.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 72;
const EDGE = 6;

/** Draw the losses into an SVG element. @param {SVGElement} picture @param {number[]} losses */
export function drawCurve(picture, losses) {
  const width = picture.clientWidth || 320;
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", inWords(losses));
  if (losses.length < 2) return picture.replaceChildren();
  const seen = losses.filter(Number.isFinite);
  const low = Math.min(...seen, 0);
  const high = Math.max(...seen, 0) || 1;
  const x = (i) => EDGE + ((width - 2 * EDGE) * i) / Math.max(1, losses.length - 1);
  const y = (loss) => HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * (loss - low)) / (high - low || 1);
  const points = losses.map((loss, i) => [x(i), y(loss)]).filter(([, v]) => Number.isFinite(v));
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "));
  const base = document.createElementNS(SVG, "path");
  base.setAttribute("class", "base");
  base.setAttribute("d", `M${EDGE} ${y(0)}H${width - EDGE}`);
  const dot = document.createElementNS(SVG, "circle");
  const [a, b] = points.at(-1) ?? [-EDGE, -EDGE];
  for (const [name, value] of [
    ["cx", a],
    ["cy", b],
    ["r", 3],
  ])
    dot.setAttribute(name, String(value));
  return picture.replaceChildren(base, line, dot);
}

/** The curve in words. @param {number[]} losses */
export function inWords(losses) {
  if (losses.length < 2) return "No training step has been taken.";
  const steps = losses.length - 1;
  return `Loss ${number(losses[0])} → ${number(losses.at(-1))} in ${steps} ${steps === 1 ? "step" : "steps"}.`;
}
