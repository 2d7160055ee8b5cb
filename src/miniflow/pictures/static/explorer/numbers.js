// Numbers and arrays as the explorer shows them: the same four digits, true minus signs and heat
// maps as in the pictures that Python draws.

/**
 * A value: `data` has every entry, row by row; a large array has a `summary` and `levels` instead.
 * @typedef {{shape: number[], dtype: string, data?: ArrayLike<number|boolean>, summary?: Summary,
 *   levels?: number[][], text?: string}} Tensor
 * @typedef {{mean?: number, sd?: number, norm?: number, low?: number, high?: number, odd: number}} Summary
 */

const MOST_WHOLE = 256;
const ROWS = 12;
const COLUMNS = 24;
const LEVELS = 7;

/** One number with four digits and a true minus sign. @param {number|boolean} x */
export function number(x) {
  if (typeof x === "boolean") return x ? "True" : "False";
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x) && Math.abs(x) < 1e7) return minus(String(x + 0));
  const exponent = Math.floor(Math.log10(Math.abs(Number(x.toPrecision(4)))));
  if (exponent < -4 || exponent >= 4) {
    const [mantissa, power] = x.toExponential(3).split("e");
    return minus(`${trimmed(mantissa)}e${Number(power)}`);
  }
  return minus(trimmed(x.toPrecision(4)));
}

/** @param {string} text */
function trimmed(text) {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : String(Number(text));
}

/** @param {string} text */
function minus(text) {
  return text === "-0" ? "0" : text.replace(/-/g, "−");
}

/** A number in brackets where a minus sign would stand after another sign. @param {number} x */
export function bracketed(x) {
  return x < 0 ? `(${number(x)})` : number(x);
}

/** "128×10"; "" for a number. @param {Tensor} tensor */
export function shapeText(tensor) {
  return tensor.shape.join("×");
}

/** How many entries a value has. @param {Tensor} tensor */
export function sizeOf(tensor) {
  return tensor.shape.reduce((product, n) => product * n, 1);
}

/** Whether a value is a single number. @param {?Tensor} tensor */
export function isNumber(tensor) {
  return Boolean(tensor?.data) && sizeOf(tensor) === 1;
}

/** The only entry of a value. @param {Tensor} tensor */
export function only(tensor) {
  return tensor.data[0];
}

/** A value in a few words, for sentences: a number, or what kind of array. @param {?Tensor} tensor */
export function inWords(tensor) {
  if (!tensor) return "nothing";
  if (tensor.text) return tensor.text;
  if (isNumber(tensor)) return number(only(tensor));
  return `an array of ${shapeText(tensor)} numbers`;
}

/** A value on one line: a number, or a short array, or what is known of a long one. @param {Tensor} tensor */
export function onOneLine(tensor) {
  if (tensor.text) return tensor.text;
  if (isNumber(tensor)) return number(only(tensor));
  if (tensor.data && sizeOf(tensor) <= 3) return `[${Array.from(tensor.data, rounded).join(" ")}]`;
  return statistics(tensor);
}

/** Mean, deviation and norm in words; of whole numbers the range. @param {Tensor} tensor */
export function statistics(tensor) {
  const summary = tensor.summary ?? summarise(tensor.data);
  const odd = summary.odd ? `, ${summary.odd} not finite` : "";
  if (summary.mean === undefined) return sizeOf(tensor) ? "nothing finite" : "empty";
  if (summary.low === summary.high) return `all ${number(summary.low)}${odd}`;
  if (/int|bool/.test(tensor.dtype)) return `${number(summary.low)} … ${number(summary.high)}`;
  return `${rounded(summary.mean)} ± ${rounded(summary.sd)}, ‖·‖ ${rounded(summary.norm)}${odd}`;
}

/** How many entries are NaN or infinite. @param {Tensor} tensor */
export function countNotFinite(tensor) {
  return (tensor.summary ?? summarise(tensor.data)).odd;
}

/** With three digits. @param {number|boolean} x */
function rounded(x) {
  return number(typeof x === "number" ? Number(x.toPrecision(3)) : x);
}

/** Statistics of the finite entries. @param {ArrayLike<number|boolean>} data @returns {Summary} */
export function summarise(data) {
  let count = 0;
  let low = Infinity;
  let high = -Infinity;
  const each = (look) => {
    for (let i = 0; i < data.length; i++) if (Number.isFinite(Number(data[i]))) look(Number(data[i]));
  };
  each((x) => {
    count++;
    low = Math.min(low, x);
    high = Math.max(high, x);
  });
  if (!count) return { odd: data.length };
  const scale = Math.max(Math.abs(low), Math.abs(high)) || 1; // so that sums and squares do not overflow
  let mean = 0;
  let squares = 0;
  let spread = 0;
  each((x) => {
    mean += x / scale / count;
    squares += (x / scale) ** 2;
  });
  each((x) => (spread += (x / scale - mean) ** 2));
  const sd = scale * Math.sqrt(spread / count);
  const norm = scale * Math.sqrt(squares);
  return { mean: scale * mean, sd, norm, low, high, odd: data.length - count };
}

/** The squares of a heat map, −7 to 7, relative to the largest. @param {Tensor} tensor @returns {number[][]} */
export function levelsOf(tensor) {
  if (tensor.levels) return tensor.levels;
  if (!tensor.data?.length) return [];
  const columns = tensor.shape.at(-1) ?? 1;
  const rows = tensor.data.length / columns;
  const grid = [];
  for (let r = 0; r < rows; r++) {
    const row = Array.from(tensor.data.slice(r * columns, (r + 1) * columns), Number);
    grid.push(
      blocks(
        row.map((x) => (Number.isFinite(x) ? x : 0)),
        COLUMNS,
        mean,
      ),
    );
  }
  const small = blocks(grid, ROWS, (run) => run[0].map((_, c) => mean(run.map((row) => row[c]))));
  let largest = 0;
  for (const row of small) for (const x of row) largest = Math.max(largest, Math.abs(x));
  return small.map((row) => row.map((x) => Math.round((x / (largest || 1)) * LEVELS)));
}

/** @param {number[]} xs */
function mean(xs) {
  return xs.reduce((sum, x) => sum + x, 0) / xs.length;
}

/** At most `most` entries, each made of a run of entries, the runs as equal as they can be. */
function blocks(entries, most, join) {
  const n = entries.length;
  if (n <= most) return entries;
  const edge = (i) => Math.floor((i * n) / most);
  return Array.from({ length: most }, (_, i) => join(entries.slice(edge(i), edge(i + 1))));
}

/** A recorded value as it comes from JSON, where NaN and infinities are strings. @param {any} raw @returns {?Tensor} */
export function recordedTensor(raw) {
  const read = (x) => (typeof x === "string" ? Number(x) : x);
  const summary = raw?.summary && { ...raw.summary, norm: read(raw.summary.norm) };
  return raw && { ...raw, data: raw.data?.map(read), summary };
}

const DTYPES = { f: "float", i: "int", u: "uint", b: "bool" };

/** What a program has computed, as a value. @param {any} result @param {{shape: number[], dtype: string}} variable @returns {Tensor} */
export function computedTensor(result, { shape, dtype }) {
  const whole = typeof result === "object" ? result : [result];
  const big = typeof whole[0] === "bigint" || (dtype === "bool" && typeof result === "object");
  const plain = big ? Array.from(whole, dtype === "bool" ? Boolean : Number) : whole;
  return condensed({ shape, dtype: DTYPES[dtype[0]] + dtype.slice(1), data: plain });
}

/** A large array summarised, as recorded ones are. @param {Tensor} tensor @returns {Tensor} */
function condensed(tensor) {
  if (tensor.data.length <= MOST_WHOLE) return tensor;
  const { shape, dtype } = tensor;
  return { shape, dtype, summary: summarise(tensor.data), levels: levelsOf(tensor) };
}

/** The sum of values of one shape; null where entries are not known. @param {Tensor[]} tensors @returns {?Tensor} */
export function sumOf(tensors) {
  if (tensors.some((t) => !t.data || t.data.length !== tensors[0].data?.length)) return null;
  const data = Array.from(tensors[0].data, Number);
  for (const { data: more } of tensors.slice(1)) data.forEach((_, i) => (data[i] += Number(more[i])));
  return { ...tensors[0], data };
}
