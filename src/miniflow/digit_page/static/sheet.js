// The sheet: strokes come in by mouse, finger or pen, and ink goes out.
//
// A stroke is a list of points in units of the sheet's side, so that it can be drawn again at any size:
// on the canvas that is seen, and on a small one whose pixels are read.

const PEN = 0.086; // width of the pen: about that of MNIST's, once the digit is fitted

class Sheet {
  constructor(canvas, side, changed) {
    this.canvas = canvas;
    this.strokes = [];
    this.changed = changed; // called with true when a stroke has ended, or was taken back
    this.pointer = null;
    const hidden = document.createElement("canvas");
    hidden.width = hidden.height = this.side = side;
    this.pixels = hidden.getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    addEventListener("pointermove", (event) => this.follow(event));
    for (const end of ["pointerup", "pointercancel"]) {
      addEventListener(end, (event) => this.end(event));
    }
  }

  get isEmpty() {
    return this.strokes.length === 0;
  }

  begin(event) {
    if (this.pointer !== null || event.button !== 0) return; // a second finger, a second button
    this.pointer = event.pointerId;
    this.strokes.push([this.place(event)]);
    this.changed(false);
  }

  follow(event) {
    if (event.pointerId !== this.pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    const stroke = this.strokes[this.strokes.length - 1];
    for (const point of between.length ? between : [event]) stroke.push(this.place(point));
    this.changed(false);
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.changed(true);
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  undo() {
    this.pointer = null;
    this.strokes.pop();
    this.changed(true);
  }

  clear() {
    this.pointer = null;
    this.strokes.length = 0;
    this.changed(true);
  }

  // Draw the strokes where they are seen, in a colour.
  show(colour) {
    drawStrokes(this.canvas.getContext("2d"), this.strokes, this.canvas.width, colour);
  }

  // How much ink each pixel has, from 0 to 1, row by row.
  ink() {
    drawStrokes(this.pixels, this.strokes, this.side, "#fff");
    const { data } = this.pixels.getImageData(0, 0, this.side, this.side);
    const ink = new Float64Array(this.side * this.side);
    for (let i = 0; i < ink.length; i++) ink[i] = data[4 * i + 3] / 255;
    return ink;
  }
}

function drawStrokes(context, strokes, side, colour) {
  context.clearRect(0, 0, side, side);
  context.strokeStyle = colour;
  context.lineWidth = PEN * side;
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const at = (i) => [stroke[i][0] * side, stroke[i][1] * side];
    context.beginPath();
    context.moveTo(...at(0));
    for (let i = 1; i < stroke.length - 1; i++) {
      const [x, y] = at(i), [nextX, nextY] = at(i + 1);
      context.quadraticCurveTo(x, y, (x + nextX) / 2, (y + nextY) / 2); // smooth through the middles
    }
    context.lineTo(...at(stroke.length - 1)); // of a single point, a dot
    context.stroke();
  }
}
