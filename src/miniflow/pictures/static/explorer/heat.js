// Heat maps: one hue below zero, another above, paler towards zero; as in the pictures from Python.

const BELOW = [37, 119, 190];
const ABOVE = [222, 120, 20];
const LEVELS = 7;

/** A data URL of a picture with one pixel a square. @param {number[][]} levels rows of −7 to 7 */
export function heatMap(levels) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [levels[0].length, levels.length];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  levels.flat().forEach((level, i) => {
    image.data.set([...(level < 0 ? BELOW : ABOVE), Math.round((255 * Math.abs(level)) / LEVELS)], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}
