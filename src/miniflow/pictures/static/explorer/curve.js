// The loss, step by step, as a line between its lowest and its highest, which stand beside it: so a
// training that has hardly begun is seen to move, and by how little.

import { number } from "./numbers.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 96;
const EDGE = 6;
const FOOT = 18; // below the line, for the steps

/** Draw the losses into an SVG element. @param {SVGElement} picture @param {number[]} losses */
export function drawCurve(picture, losses) {
  const width = picture.clientWidth || 320;
  picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", inWords(losses));
  if (losses.length < 2) return picture.replaceChildren();
  const seen = losses.filter(Number.isFinite);
  const [low, high] = [Math.min(...seen), Math.max(...seen)];
  const [top, bottom] = seen.length ? [high, low].map(number) : ["", ""];
  const left = 12 + 6.6 * Math.max(top.length, bottom.length); // room for the numbers
  const x = (i) => left + ((width - EDGE - left) * i) / Math.max(1, losses.length - 1);
  const room = HEIGHT - FOOT - 2 * EDGE;
  const y = (loss) => EDGE + (high > low ? (room * (high - loss)) / (high - low) : room / 2);
  const points = losses.map((loss, i) => [x(i), y(loss)]).filter(([, v]) => Number.isFinite(v));
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join(" "));
  const base = document.createElementNS(SVG, "path");
  base.setAttribute("class", "base");
  base.setAttribute("d", `M${left} ${EDGE}V${EDGE + room}H${width - EDGE}`);
  const dot = document.createElementNS(SVG, "circle");
  const [a, b] = points.at(-1) ?? [-EDGE, -EDGE];
  for (const [name, value] of [
    ["cx", a],
    ["cy", b],
    ["r", 3],
  ])
    dot.setAttribute(name, String(value));
  const last = losses.length - 1;
  const numbers = [
    [top, left - 5, EDGE + 8, "end"],
    [high > low ? bottom : "", left - 5, EDGE + room, "end"],
    ["0", left, HEIGHT - 5, "start"],
    [`${last} ${last === 1 ? "step" : "steps"}`, width - EDGE, HEIGHT - 5, "end"],
  ].map(([text, at, height, anchor]) => {
    const label = document.createElementNS(SVG, "text");
    label.setAttribute("x", String(at));
    label.setAttribute("y", String(height));
    label.setAttribute("text-anchor", anchor);
    label.textContent = text;
    return label;
  });
  return picture.replaceChildren(base, line, dot, ...numbers);
}

/** The curve in words. @param {number[]} losses */
export function inWords(losses) {
  if (losses.length < 2) return "No training step has been taken.";
  const steps = losses.length - 1;
  return `Loss ${number(losses[0])} → ${number(losses.at(-1))} in ${steps} ${steps === 1 ? "step" : "steps"}.`;
}
