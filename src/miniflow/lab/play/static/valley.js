// A long valley, L = ½ (w₁² + 9 w₂²): nine times as steep across as along. The start is dragged, or
// moved with the arrow keys; the path is that of gradient descent, with momentum if it is asked for.

const STEEP = 9;
const STEPS = 30;
const [WIDE, HIGH] = [10, 4.2]; // how far the picture reaches on either side
const [W, H] = [720, 302];

let start = [-9, 2.2];
let rate = 0.18;
let momentum = 0;

const height = ([a, b]) => (a * a + STEEP * b * b) / 2;
const place = ([a, b]) => [((a + WIDE) / (2 * WIDE)) * W, ((HIGH - b) / (2 * HIGH)) * H];

/** Where one comes through. */
function descent() {
  const path = [start];
  const v = [0, 0];
  for (let n = 0; n < STEPS; n++) {
    const [a, b] = path.at(-1);
    v[0] = momentum * v[0] + a;
    v[1] = momentum * v[1] + STEEP * b;
    path.push([a - rate * v[0], b - rate * v[1]]);
  }
  return path;
}

/** What the path does, in a sentence. */
function said(path) {
  const [first, last] = [height(path[0]), height(path.at(-1))];
  if (first < 1e-9) return "You stand at the bottom, where there is no slope.";
  const end = `After ${STEPS} steps the height is ${short(last)}, from ${short(first)}.`;
  if (!(last < 1e6) || last > first) return `${end} It diverges: each jump ends higher than the one before.`;
  if (last < 0.002 * first) return `${end} It has arrived.`;
  const across = path.slice(0, 8).map(([, b]) => Math.sign(b));
  const turns = across.filter((s, i) => i && s !== across[i - 1]).length;
  if (turns > 4) return `${end} It jumps from side to side, and comes along slowly.`;
  return `${end} It creeps: larger steps would be quicker.`;
}

const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img" });
const curve = svg("svg", { role: "img" });
const says = html("p", { class: "says", role: "status", "aria-live": "polite" });
const contours = [0.5, 2, 5, 10, 18, 30, 45, 65, 90].map((level) => {
  const [a, b] = [Math.sqrt(2 * level), Math.sqrt((2 * level) / STEEP)];
  return svg("ellipse", { class: "contour", cx: W / 2, cy: H / 2, rx: (a / WIDE) * (W / 2), ry: (b / HIGH) * (H / 2) });
});
const handle = svg("circle", { class: "start", r: 10, tabindex: 0, role: "button", "aria-label": "the start: drag it, or move it with the arrow keys" });
const trail = svg("g");
picture.append(...contours, svg("circle", { class: "bottom", cx: W / 2, cy: H / 2, r: 5 }), trail, handle);

function show() {
  const path = descent();
  const shown = path.map(place).map(([x, y]) => [Math.max(-2e3, Math.min(3e3, x)), Math.max(-2e3, Math.min(3e3, y))]);
  trail.replaceChildren(
    svg("polyline", { class: "path", points: shown.map((p) => p.map((x) => x.toFixed(1)).join(",")).join(" ") }),
    ...shown.slice(1).map(([cx, cy]) => svg("circle", { class: "step", cx, cy, r: 2.5 })),
  );
  const [cx, cy] = place(start);
  handle.setAttribute("cx", cx);
  handle.setAttribute("cy", cy);
  says.textContent = said(path);
  picture.setAttribute("aria-label", `A valley seen from above, lowest in the middle. ${says.textContent}`);
  plot(curve, path.map(height).map((h) => Math.min(h, 1e6)), 150);
}

function move(a, b) {
  start = [Math.max(-WIDE, Math.min(WIDE, a)), Math.max(-HIGH, Math.min(HIGH, b))];
  show();
}

picture.addEventListener("pointerdown", (event) => {
  picture.setPointerCapture(event.pointerId);
  drag(event);
});
picture.addEventListener("pointermove", (event) => event.buttons && drag(event));
function drag(event) {
  const box = picture.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * 2 * WIDE - WIDE;
  move(x, HIGH - ((event.clientY - box.top) / box.height) * 2 * HIGH);
}
handle.addEventListener("keydown", (event) => {
  const by = { ArrowLeft: [-0.5, 0], ArrowRight: [0.5, 0], ArrowUp: [0, 0.2], ArrowDown: [0, -0.2] }[event.key];
  if (!by) return;
  event.preventDefault();
  move(start[0] + by[0], start[1] + by[1]);
});

document.querySelector("main").append(
  html("h1", {}, "The learning rate in a valley"),
  html("p", { class: "dim" }, "L = ½ (w₁² + 9 w₂²), from above; the green dot is its bottom. Drag the start. 30 steps are taken."),
  picture,
  html(
    "div",
    { class: "controls" },
    slider("learning rate", { min: 0.002, max: 0.25, step: 0.001, value: rate }, (x) => ((rate = x), show())),
    slider("momentum", { min: 0, max: 0.95, step: 0.05, value: momentum }, (x) => ((momentum = x), show())),
  ),
  says,
  curve,
);
show();
new ResizeObserver(() => show()).observe(curve);
