// The page: what is drawn becomes pixels, the pixels an answer, and the answer a reason.
//
// All numbers come from programs that were recorded in Python (`fitProgram`, `shrinkProgram`,
// `answerProgram`, `explainProgram`); what is written here asks for them and shows them.

const data = JSON.parse(root.querySelector("script.data").textContent);
const arrays = data.arrays.map(([dtype, text]) => typedArray(dtype, text));
const [fit, shrink, answer, explain] = ["fit", "shrink", "answer", "explain"].map((name) => {
  const make = { fit: fitProgram, shrink: shrinkProgram, answer: answerProgram, explain: explainProgram }[name];
  return make && make(data.constants[name].map((i) => arrays[i]));
});

// What a class is called: by its name, or by its number if it has none.
const nameOfClass = (i) => data.names?.[i] ?? String(i);
const namesAreLong = data.names?.some((name) => name.length > 2) ?? false;
const areDigits = data.names?.every((name, i) => name === String(i)) ?? true;

const find = (selector) => root.querySelector(selector);
const colours = { scale: {} };
const blank = new Float32Array(FRAME * FRAME);
const latest = { pixels: blank, probabilities: null, layers: [], gradient: null, explained: null };
let fitted = true; // whether the drawing is fitted and centred
let picked = null; // the class to explain, if it is not simply the answer
let waiting = 0; // the frame in which a change is going to be shown
let search = 0; // number of the last search for a gradient by small differences

const sheet = new Sheet(find(".sheet"), data.side, (ended) => {
  if (ended) update(true);
  else waiting ||= requestAnimationFrame(() => update(false));
});

root.classList.toggle("named", namesAreLong);
if (!areDigits) find(".hint").textContent = hint(data.names);

// --- What can be pressed

const bars = Array.from({ length: data.classes }, (_, digit) => {
  const button = element("button");
  button.type = "button";
  const track = element("span", "track");
  track.append(element("i"));
  if (namesAreLong) button.title = nameOfClass(digit); // it may be cut off
  button.append(element("b", "", nameOfClass(digit)), track, element("span", "percent"));
  find(".bars").append(button);
  return button;
});
const markBar = radios(find(".bars"), bars, (digit, byKey) => {
  picked = digit === picked && !byKey ? null : digit;
  update(true);
});

const views = data.layers.map((layer) => {
  const view = layer.maps
    ? new MapsView(layer, layer.maps.kernels && kernelsOf(layer.maps), colours)
    : new LayerView(layer, (layer.weights && rowsOf(layer)) ?? null, colours);
  find(".layers").append(view.root);
  return view;
});

function rowsOf({ units, weights: { array, byRows } }) {
  const pixels = FRAME * FRAME, all = arrays[array];
  return Array.from({ length: units }, (_, unit) =>
    Float32Array.from({ length: pixels }, (_, i) => all[byRows ? unit * pixels + i : i * units + unit]),
  );
}

function kernelsOf({ count, kernels: { array, rows, columns } }) {
  const size = rows * columns;
  return Array.from({ length: count }, (_, map) => arrays[array].slice(map * size, (map + 1) * size));
}

find(".undo").addEventListener("click", () => sheet.undo());
find(".clear").addEventListener("click", () => sheet.clear());
find(".switch").addEventListener("click", (event) => {
  fitted = !fitted;
  event.currentTarget.setAttribute("aria-checked", String(fitted));
  update(true);
});
root.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "z" && !event.altKey && !event.shiftKey) sheet.undo();
  else if (event.key === "Delete" || event.key === "Backspace") sheet.clear();
  else return;
  event.preventDefault();
});

function hint(names) {
  return names.length > 6 ? `one of ${names.length} classes` : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}

// --- What is computed

function update(ended) {
  cancelAnimationFrame(waiting);
  waiting = 0;
  const began = performance.now();
  search += 1;
  if (sheet.isEmpty) {
    picked = null;
    latest.pixels = blank;
    latest.probabilities = latest.gradient = latest.explained = null;
    latest.layers = [];
  } else {
    latest.ink = sheet.ink();
    [latest.pixels] = (fitted ? fit : shrink).run([latest.ink]);
    [latest.probabilities, ...latest.layers] = answer.run([latest.pixels]);
    latest.digit = largestPlace(latest.probabilities);
    latest.explained = picked ?? latest.digit;
    if (explain) [latest.gradient] = explain.run([latest.pixels, [latest.explained]]);
    else latest.gradient = null;
  }
  show();
  latest.milliseconds = performance.now() - began;
  find(".time").textContent = sheet.isEmpty ? "" : `in ${latest.milliseconds.toFixed(1)} ms`;
  if (!ended) return;
  find(".live").textContent = spoken();
  if (!explain && !sheet.isEmpty) differences(search);
}

// The gradient of a log-probability by central differences: for a model file that holds no backward
// program. Some pixels at a time, so that the page stays alive; given up when something changes.
async function differences(number) {
  const step = 1 / 32, { pixels, explained } = latest, gradient = new Float64Array(pixels.length);
  const beside = pixels.slice();
  const slope = (i, by) => {
    beside[i] = pixels[i] + by;
    const [probabilities] = answer.run([beside]);
    beside[i] = pixels[i];
    return Math.log(Math.max(probabilities[explained], Number.MIN_VALUE)) / (2 * by);
  };
  let pause = performance.now() + 12;
  for (let i = 0; i < pixels.length; i++) {
    gradient[i] = slope(i, step) + slope(i, -step);
    if (performance.now() < pause) continue;
    await new Promise((go) => setTimeout(go));
    if (number !== search) return;
    pause = performance.now() + 12;
  }
  latest.gradient = gradient;
  showWhy();
}

// A browser is slow when it meets a program first: that should not be while somebody draws.
function warmUp() {
  for (let i = 0; i < 3; i++) {
    const [pixels] = fit.run([new Float64Array(data.side ** 2)]);
    answer.run([pixels]);
    explain?.run([pixels, [0]]);
  }
}

function largestPlace(numbers) {
  return numbers.reduce((best, x, i) => (x > numbers[best] ? i : best), 0);
}

// --- What is shown

function show() {
  const empty = sheet.isEmpty, focused = document.activeElement;
  find(".paper").classList.toggle("inked", !empty);
  find(".undo").disabled = find(".clear").disabled = empty;
  sheet.show(colours.ink);
  showSeen();
  showAnswer();
  showWhy();
  views.forEach((view, i) => view.show(empty ? null : Array.from(latest.layers[i]), latest.pixels));
  // A button that can no longer be pressed loses the focus, and with it the keys of the page.
  if (focused?.disabled && root.contains(focused)) sheet.canvas.focus({ preventScroll: true });
}

function showSeen() {
  const context = framed(find(".sees canvas"));
  if (!context) return;
  drawPixels(context, latest.pixels, colours.ink);
  if (fitted) drawGuides(context, colours.up);
  find(".about-fit").textContent = fitted
    ? "Scaled to 20 × 20 and centred by its mass, like the digits it learned from."
    : "Shrunk where it stands. It never learned from such digits: draw one small, in a corner.";
}

function showAnswer() {
  const { probabilities, digit, explained } = latest;
  const shares = probabilities ?? new Float64Array(bars.length);
  find(".verdict b").textContent = probabilities ? nameOfClass(digit) : "–";
  find(".verdict span").textContent = probabilities ? certainty(shares[digit]) : "";
  bars.forEach((bar, i) => {
    bar.classList.toggle("first", probabilities !== null && i === digit);
    bar.querySelector(".track i").style.width = `${100 * shares[i]}%`;
    bar.querySelector(".percent").textContent = probabilities ? percent(shares[i]) : "";
    bar.setAttribute("aria-label", probabilities ? `${nameOfClass(i)}, ${percent(shares[i])}` : nameOfClass(i));
    bar.disabled = probabilities === null;
  });
  markBar(probabilities ? explained : -1);
}

function showWhy() {
  const { gradient, explained, digit } = latest;
  const context = framed(find(".why canvas"));
  if (!context) return;
  const most = gradient ? largest(gradient) : 0;
  drawPixels(context, latest.pixels, colours.ink, 0.22);
  if (most > 0) drawSigns(context, gradient, most, colours.up, colours.down);
  const asked = explained !== null;
  find(".why h2").textContent = !asked ? "Why" : `Why ${explained === digit ? "" : "not "}${nameOfClass(explained)}`;
  find(".about-why").textContent = !asked
    ? "The gradient of the answer's log-probability with respect to each pixel."
    : `How ink on each pixel moves the log-probability of ${nameOfClass(explained)}${strength(most)}.${howFound()}`;
}

function strength(most) {
  return most > 0 ? `, at most by ${most < 1e-3 ? most.toExponential(1) : most.toPrecision(2)}` : "";
}

function howFound() {
  if (explain) return "";
  const found = " Computed by small differences: the model file holds no backward program.";
  return latest.gradient ? found : " Being computed by small differences …";
}

function certainty(share) {
  const word = share > 0.95 ? "sure" : share > 0.6 ? "fairly sure" : "unsure";
  return `${percent(share)}, ${word}`;
}

function percent(share) {
  if (share > 0.9995) return ">\u00a099.9\u00a0%";
  return share < 0.0005 ? "<\u00a00.1\u00a0%" : `${(100 * share).toFixed(1)}\u00a0%`;
}

function spoken() {
  if (sheet.isEmpty) return "The sheet is empty.";
  return `${nameOfClass(latest.digit)}, ${certainty(latest.probabilities[latest.digit])}.`;
}

// --- Colours, by day and by night, and sizes

function readColours() {
  const style = getComputedStyle(root), colour = (name) => style.getPropertyValue(`--${name}`).trim();
  for (const name of ["ink", "up", "down"]) colours[name] = colour(name);
  for (const name of ["most", "none", "least", "ink", "down"]) colours.scale[name] = channels(colour(name));
  colours.scale.paper = channels(colour("soft"));
  views.forEach((view) => view.paint());
  show();
}

function channels(hex) {
  const digits = hex.length === 4 ? hex.slice(1).replace(/./g, "$&$&") : hex.slice(1);
  return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
}

function resize() {
  root.querySelectorAll(".sheet, .picture, .strip").forEach(sharpen);
  show();
}

readColours();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", readColours);
new ResizeObserver(resize).observe(root);
setTimeout(warmUp, 100);
root.digits = { sheet, latest }; // for the curious, in the browser's console
