// Pictures of numbers: 28 × 28 pixels, signed numbers as + and −, small tiles, and bars.

const FRAME = 28;

// Give a canvas as many pixels as the screen has where it stands. (Asking for a place makes the browser
// lay the page out, so this is done when sizes change, and not whenever something is drawn.)
function sharpen(canvas) {
  canvas.width = Math.round(canvas.clientWidth * devicePixelRatio);
  canvas.height = Math.round(canvas.clientHeight * devicePixelRatio);
}

// A canvas made ready to be drawn on in units of one pixel of 28, or of so many; null while it is not
// on the page.
function framed(canvas, across = FRAME) {
  if (canvas.width === 0) return null;
  const context = canvas.getContext("2d"), scale = canvas.width / across;
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, across, across);
  return context;
}

// Pixels, the fuller the darker; their edges lie on the screen's own pixels, so that no seams show.
function drawPixels(context, pixels, colour, strength = 1) {
  const edge = (i) => Math.round((i * context.canvas.width) / FRAME);
  context.save();
  context.resetTransform();
  context.fillStyle = colour;
  for (let i = 0; i < pixels.length; i++) {
    if (pixels[i] <= 0) continue;
    const x = i % FRAME, y = Math.floor(i / FRAME);
    context.globalAlpha = Math.min(1, pixels[i]) * strength;
    context.fillRect(edge(x), edge(y), edge(x + 1) - edge(x), edge(y + 1) - edge(y));
  }
  context.restore();
}

// The frame of 20 × 20 that a digit is fitted to, and the point that its centre of mass is moved to.
function drawGuides(context, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 0.08;
  context.setLineDash([0.4, 0.4]);
  context.strokeRect(4, 4, 20, 20);
  context.setLineDash([]);
  context.lineWidth = 0.12;
  context.beginPath();
  for (const [x, y] of [[1, 0], [0, 1]]) {
    context.moveTo(14.5 - 0.8 * x, 14.5 - 0.8 * y);
    context.lineTo(14.5 + 0.8 * x, 14.5 + 0.8 * y);
  }
  context.stroke();
}

// Each number as + or −, the larger the more it matters; what is next to nothing is left out.
function drawSigns(context, numbers, most, up, down, across = FRAME) {
  context.lineCap = "round";
  for (let i = 0; i < numbers.length; i++) {
    const size = (Math.abs(numbers[i]) / most) ** 0.7;
    if (!(size > 0.16)) continue;
    const x = (i % across) + 0.5, y = Math.floor(i / across) + 0.5, reach = 0.44 * size;
    context.strokeStyle = numbers[i] > 0 ? up : down;
    context.globalAlpha = 0.3 + 0.7 * size;
    context.lineWidth = 0.06 + 0.24 * size;
    context.beginPath();
    context.moveTo(x - reach, y);
    context.lineTo(x + reach, y);
    if (numbers[i] > 0) {
      context.moveTo(x, y - reach);
      context.lineTo(x, y + reach);
    }
    context.stroke();
  }
  context.globalAlpha = 1;
}

// Numbers as a tile of dots. Each is a share of `most`, from -1 to 1, and has the colour that
// `colourOf` gives for it.
function drawTile(canvas, numbers, rows, columns, most, colourOf) {
  if (canvas.width !== columns) canvas.width = columns; // giving it a size clears it, which takes time
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  for (let i = 0; i < numbers.length; i++) {
    image.data.set(colourOf(Math.max(-1, Math.min(1, numbers[i] / most || 0))), 4 * i);
  }
  context.putImageData(image, 0, 0);
}

// For weights: from the colour for the least through none to the most.
const shareOfScale = ({ least, none, most }) => (share) => mixed(none, share < 0 ? least : most, Math.abs(share));

// For activations: from paper to ink; to another colour where they are negative.
const shareOfInk = ({ paper, ink, down }) => (share) => mixed(paper, share < 0 ? down : ink, Math.abs(share));

function mixed(from, to, share) {
  return [0, 1, 2].map((c) => from[c] + (to[c] - from[c]) * share).concat(255);
}

// The numbers of a layer as upright bars; below the line where they are negative.
function drawStrip(canvas, values, colour) {
  const { width, height } = canvas, context = canvas.getContext("2d");
  context.clearRect(0, 0, width, height);
  const most = largest(values), signed = values.some((value) => value < 0);
  const zero = signed ? height / 2 : height, room = signed ? height / 2 : height;
  context.fillStyle = colour;
  values.forEach((value, i) => {
    const tall = most > 0 ? (room * value) / most : 0;
    context.fillRect((width * i) / values.length, zero, Math.max(1, width / values.length - 1), -tall);
  });
}

function largest(numbers) {
  return numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
}
