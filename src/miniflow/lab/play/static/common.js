// What the pages share: elements, numbers, and the plot of a loss.

const POINTS = [[0, 0], [0, 1], [1, 0], [1, 1]]; // of XOR
const LABELS = [0, 1, 1, 0];
const SVG = "http://www.w3.org/2000/svg";

/** An HTML element with attributes and contents; what begins with "on" is a listener. */
function html(tag, attributes = {}, ...inside) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...inside);
  return element;
}

/** An SVG element. */
function svg(tag, attributes = {}, ...inside) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
}

/** A number in few digits. */
function short(x) {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : "∞";
  const size = Math.abs(x);
  if (size && (size < 0.001 || size >= 10000)) return x.toExponential(1);
  return String(Number(x.toPrecision(3)));
}

/** A slider with its number; `tell` is called with the number, now and whenever it is moved. */
function slider(name, { min, max, step, value, of = (x) => x }, tell) {
  const output = html("output");
  const input = html("input", { type: "range", min, max, step, value, "aria-label": name });
  const changed = () => {
    const x = of(Number(input.value));
    output.textContent = short(x);
    input.setAttribute("aria-valuetext", output.textContent);
    tell(x);
  };
  input.addEventListener("input", changed);
  changed();
  return html("label", {}, name, input, output);
}

/** A plot of losses, with numbers at its ends. */
function plot(picture, losses, height = 190) {
  const width = picture.clientWidth || 420;
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const seen = losses.filter(Number.isFinite);
  const [low, high] = [0, Math.max(...seen, 1e-12)];
  const [left, right, top, bottom] = [52, width - 12, 14, height - 26];
  const x = (i) => left + ((right - left) * i) / Math.max(1, losses.length - 1);
  const y = (loss) => bottom - ((bottom - top) * (Math.min(loss, high) - low)) / (high - low);
  const line = losses.map((loss, i) => `${x(i).toFixed(1)},${y(Number.isFinite(loss) ? loss : high).toFixed(1)}`);
  const text = (at, height_, anchor, said) =>
    svg("text", { x: at, y: height_, "text-anchor": anchor }, said);
  picture.replaceChildren(
    svg("path", { class: "axis", d: `M${left} ${top}V${bottom}H${right}` }),
    svg("polyline", { class: "curve", points: line.join(" ") }),
    text(left - 6, top + 9, "end", short(high)),
    text(left - 6, bottom, "end", "0"),
    text(left, height - 8, "start", "0"),
    text(right, height - 8, "end", `${losses.length - 1} ${losses.length === 2 ? "step" : "steps"}`),
  );
  picture.setAttribute(
    "aria-label",
    `The loss: ${short(losses[0])} at first, ${short(losses.at(-1))} after ${losses.length - 1} steps.`,
  );
}
