// XOR while it trains: what the network says everywhere, and its loss.

const SIDE = 41; // points of the map along each side, from -0.5 to 1.5
const SIZE = 400;
const SPEED = 4; // steps between two pictures

const at = (x) => ((x + 0.5) / 2) * SIZE;
const grid = [];
for (let row = 0; row < SIDE; row++)
  for (let column = 0; column < SIDE; column++)
    grid.push([-0.5 + (2 * column) / (SIDE - 1), 1.5 - (2 * row) / (SIDE - 1)]);

const engine = makeEngine();
const RATES = { plain: 0.3, momentum: 0.3, Adam: 0.05 };
let way = "plain";
let rate = RATES[way];
let losses = [];
let running = false;

const canvas = html("canvas", { width: SIDE, height: SIDE, "aria-hidden": "true" });
const over = svg("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img" });
const curve = svg("svg", { role: "img" });
const says = html("p", { class: "says", role: "status" });
const boundary = svg("path", { class: "path" });
over.append(
  boundary,
  ...POINTS.flatMap(([x, y], i) => [
    svg("circle", { class: `point ${LABELS[i] ? "yes" : "no"}`, cx: at(x), cy: SIZE - at(y), r: 9 }),
    svg("text", { x: at(x) + 14, y: SIZE - at(y) + 4 }, LABELS[i] ? "yes" : "no"),
  ]),
);

/** A colour between that of "no" and that of "yes", pale where the network is not sure. */
function colour(p) {
  const [no, yes, white] = [[47, 127, 184], [217, 119, 40], [250, 250, 250]];
  const share = Math.abs(2 * p - 1);
  const end = p < 0.5 ? no : yes;
  return white.map((w, k) => Math.round(w + (end[k] - w) * (0.12 + 0.88 * share)));
}

/** The line along which the network says fifty-fifty: a piece in each square of the map. */
function outline(p) {
  const step = SIZE / (SIDE - 1);
  const pieces = [];
  for (let row = 0; row + 1 < SIDE; row++)
    for (let column = 0; column + 1 < SIDE; column++) {
      const k = row * SIDE + column;
      const corners = [[k, 0, 0], [k + 1, 1, 0], [k + SIDE + 1, 1, 1], [k + SIDE, 0, 1]];
      const crossed = [];
      for (let c = 0; c < 4; c++) {
        const [[a, ax, ay], [b, bx, by]] = [corners[c], corners[(c + 1) % 4]];
        if (p[a] < 0.5 === p[b] < 0.5) continue;
        const t = (0.5 - p[a]) / (p[b] - p[a]);
        crossed.push([(column + ax + t * (bx - ax)) * step, (row + ay + t * (by - ay)) * step]);
      }
      for (let c = 0; c + 1 < crossed.length; c += 2)
        pieces.push(`M${crossed[c].map((x) => x.toFixed(1))}L${crossed[c + 1].map((x) => x.toFixed(1))}`);
    }
  return pieces.join("");
}

function show() {
  const p = engine.probabilities(grid);
  const picture = new ImageData(SIDE, SIDE);
  p.forEach((x, i) => picture.data.set([...colour(Number.isFinite(x) ? x : 0.5), 255], 4 * i));
  canvas.getContext("2d").putImageData(picture, 0, 0);
  boundary.setAttribute("d", outline(p));
  const right = engine.probabilities(POINTS).filter((x, i) => x > 0.5 === Boolean(LABELS[i])).length;
  if (losses.length > 1) plot(curve, losses);
  else curve.replaceChildren();
  const loss = losses.length ? losses.at(-1) : null;
  says.textContent = losses.length
    ? `After ${losses.length} steps the loss is ${short(loss)}, and ${right} of 4 points are right. ${comment(loss, right)}`
    : "Press ▶: the line is where the network says fifty-fifty.";
  over.setAttribute("aria-label", `What the network says of each point of the plane. ${says.textContent}`);
}

function comment(loss, right) {
  if (!Number.isFinite(loss)) return "It has diverged: take other weights, and a smaller learning rate.";
  if (right === 4) return loss < 0.05 ? "It has it." : "It has it, and grows surer.";
  return loss > 0.72 ? "Worse than no idea, log 2 = 0.693." : "No idea costs log 2 = 0.693.";
}

function steps(count) {
  for (let k = 0; k < count; k++) losses.push(engine.step(way, rate));
  show();
}

function frame() {
  if (!running) return;
  try {
    steps(SPEED);
  } catch (error) {
    stop();
    says.textContent = `It has diverged: ${error.message}. Take other weights, and a smaller learning rate.`;
    return;
  }
  if (losses.length >= 3000) return stop();
  requestAnimationFrame(frame);
}

function stop() {
  running = false;
  button.textContent = "▶ train";
}

const button = html("button", {
  type: "button",
  onclick: () => {
    if (running) return stop();
    running = true;
    button.textContent = "❚❚ pause";
    frame();
  },
});
stop();

function restart() {
  stop();
  losses = [];
  engine.restart();
  show();
}

const rates = { min: -3, max: 0.7, step: 0.01, value: Math.log10(rate), of: (x) => 10 ** x };
const rateSlider = slider("learning rate", rates, (x) => (rate = x));
const ways = html(
  "select",
  {
    "aria-label": "the way to step",
    onchange: () => {
      way = ways.value;
      const input = rateSlider.querySelector("input");
      input.value = String(Math.log10(RATES[way]));
      input.dispatchEvent(new Event("input"));
      engine.forget();
    },
  },
  ...Object.keys(RATES).map((name) => html("option", { value: name }, name === "plain" ? "plain steps" : name)),
);

document.querySelector("main").append(
  html("h1", {}, "XOR while it trains"),
  html("p", { class: "dim" }, "Two numbers in, yes or no out; blue is no, orange is yes, and pale is unsure."),
  html(
    "div",
    { class: "controls" },
    button,
    html("button", { type: "button", onclick: () => steps(1) }, "1 step"),
    html("button", { type: "button", onclick: restart }, "other weights"),
    ways,
    rateSlider,
  ),
  html("div", { class: "both" }, html("div", { class: "map" }, canvas, over), html("div", {}, says, curve)),
);
show();
