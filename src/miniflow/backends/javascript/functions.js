// What NumPy and Python compute and JavaScript has no word for. The code of a program contains those
// of these functions that it calls.

// Numbers.

// The half-precision float that is nearest to x; of two, the even one.
function half(x) {
  const size = Math.abs(x);
  if (!(size < 65520)) return size >= 65520 ? Math.sign(x) * Infinity : x;
  const unit = 2 ** (Math.max(Math.floor(Math.log2(size)), -14) - 10);
  return rint(x / unit) * unit;
}

// The whole number that is nearest to x; of two, the even one.
function rint(x) {
  const up = Math.round(x);
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up;
}

function copysign(x, y) {
  const size = Math.abs(x);
  return y < 0 || (y === 0 && 1 / y < 0) ? -size : size;
}

// The number with the bits of an integer, and the other way round.

function floatOfInt(x) {
  INT[0] = x;
  return FLOAT[0];
}

function intOfFloat(x) {
  FLOAT[0] = x;
  return INT[0];
}

function floorDivide(x, y) {
  if (y === 0) return x / y;
  const rest = x % y;
  let quotient = (x - rest) / y;
  if (rest !== 0 && rest < 0 !== y < 0) quotient -= 1;
  if (quotient === 0) return Math.sign(x / y) * 0;
  const whole = Math.floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

// What is left of x after a floor division by y: it has the sign of y.
function remainder(x, y) {
  const rest = x % y;
  if (rest === 0) return y < 0 ? -0 : 0;
  return rest < 0 !== y < 0 ? rest + y : rest;
}

// JavaScript gives NaN for 1 ** NaN and (-1) ** Infinity.
function power(x, y) {
  if (x === 1 || (x === -1 && Math.abs(y) === Infinity)) return 1;
  return x ** y;
}

function pythonPower(x, y, where) {
  if (x === 0 && y < 0) throw new RangeError(`${where}: zero to a negative power`);
  if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y)) {
    throw new RangeError(`${where}: ${x} ** ${y} is a complex number`);
  }
  const result = power(x, y);
  if (Math.abs(result) === Infinity && Number.isFinite(x) && Number.isFinite(y)) {
    throw new RangeError(`${where}: ${x} ** ${y} is too large`);
  }
  return result;
}

function nonzero(x, where) {
  if (x == 0) throw new RangeError(`${where}: division by zero`);
  return x;
}

// Integers of 64 bits, and Python's, as bigints.

// A bigint of any size, among those from low to high.

function fitting(x, low, high) {
  if (x < low || x > high) throw new RangeError(`${x} is out of range: ${low} to ${high}`);
  return x;
}

function nearest(x, low, high) {
  return x < low ? low : x > high ? high : x;
}

function side(x, low, high) {
  return x < low ? -1 : x > high ? 1 : 0;
}

function floorDivideBigs(x, y) {
  if (y === 0n) return 0n;
  const quotient = x / y;
  return x % y !== 0n && x < 0n !== y < 0n ? quotient - 1n : quotient;
}

function remainderOfBigs(x, y) {
  if (y === 0n) return 0n;
  const rest = x % y;
  return rest !== 0n && rest < 0n !== y < 0n ? rest + y : rest;
}

function larger(x, y) {
  return x > y ? x : y;
}

function smaller(x, y) {
  return x < y ? x : y;
}

function absOfBig(x) {
  return x < 0n ? -x : x;
}

// Arguments and results.

// What a kernel says where it fails.
function refuse(told, where) {
  if (told) throw new RangeError(`${where}: ${told}`);
}

// An argument that is only read: a typed array, or what can be made one.
function fed(value, Kind, length, name) {
  const array = value instanceof Kind ? value : converted(value, Kind);
  if (array.length !== length) {
    throw new RangeError(`${name} should have ${length} elements, not ${array.length}`);
  }
  return array;
}

function converted(value, Kind) {
  const values = typeof value === "object" ? Array.from(value) : [value];
  const isBig = Kind === BigInt64Array || Kind === BigUint64Array;
  return Kind.from(values, isBig ? BigInt : Number);
}

// An argument that is given a new value, in place.
function owned(array, Kind, length, name) {
  if (!(array instanceof Kind)) throw new TypeError(`${name} should be a ${Kind.name}`);
  return fed(array, Kind, length, name);
}

function finite(value, name) {
  if (!Number.isFinite(value)) throw new RangeError(`${name} is ${value}; nothing was updated`);
}

function staysFinite(before, after, name) {
  for (let i = 0; i < after.length; i++) {
    if (!Number.isFinite(after[i]) && Number.isFinite(before[i])) {
      throw new RangeError(`${name} would hold ${after[i]}; nothing was updated`);
    }
  }
}

// Products.

// out = a @ b for an m x k matrix a and a k x n matrix b, each a part of an array: from where on, and
// how far its rows and its columns are apart. Eight sums at a time, each in a variable of its own and
// in the order of its terms; at the edges, a block is moved back, and some elements are computed twice.
function multiply(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n) {
  if (n < 4) multiplyFew(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n);
  else if (m === 1) multiplyRow(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n);
  else if (m < 16) multiplyRows(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n);
  else multiplyPanels(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n);
}

// Four columns of b at a time are put side by side, as doubles, for all rows of a.
function multiplyPanels(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n) {
  if (PANEL.length < 4 * k) PANEL = new Float64Array(4 * k);
  const panel = PANEL;
  for (let column = 0; column < n; column += 4) {
    const j = column < n - 3 ? column : n - 4;
    let q = b0 + bColumn * j;
    for (let r = 0; r < 4 * k; r += 4) {
      panel[r] = b[q];
      panel[r + 1] = b[q + bColumn];
      panel[r + 2] = b[q + 2 * bColumn];
      panel[r + 3] = b[q + 3 * bColumn];
      q += bRow;
    }
    for (let row = 0; row < m; row += 2) {
      const i = row < m - 1 ? row : m - 2;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      let p = a0 + aRow * i;
      for (let r = 0; r < 4 * k; r += 4) {
        const x = a[p], y = a[p + aRow];
        const u0 = panel[r], u1 = panel[r + 1], u2 = panel[r + 2], u3 = panel[r + 3];
        s0 += x * u0; s1 += x * u1; s2 += x * u2; s3 += x * u3;
        t0 += y * u0; t1 += y * u1; t2 += y * u2; t3 += y * u3;
        p += aColumn;
      }
      const first = o + n * i + j;
      const second = first + n;
      out[first] = s0; out[first + 1] = s1; out[first + 2] = s2; out[first + 3] = s3;
      out[second] = t0; out[second + 1] = t1; out[second + 2] = t2; out[second + 3] = t3;
    }
  }
}

// For a few rows.
function multiplyRows(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n) {
  for (let row = 0; row < m; row += 2) {
    const i = row < m - 1 ? row : m - 2;
    for (let column = 0; column < n; column += 4) {
      const j = column < n - 3 ? column : n - 4;
      let s0 = 0, s1 = 0, s2 = 0, s3 = 0, t0 = 0, t1 = 0, t2 = 0, t3 = 0;
      let p = a0 + aRow * i;
      let q = b0 + bColumn * j;
      for (let inner = 0; inner < k; inner++) {
        const x = a[p], y = a[p + aRow];
        const u0 = b[q], u1 = b[q + bColumn], u2 = b[q + 2 * bColumn], u3 = b[q + 3 * bColumn];
        s0 += x * u0; s1 += x * u1; s2 += x * u2; s3 += x * u3;
        t0 += y * u0; t1 += y * u1; t2 += y * u2; t3 += y * u3;
        p += aColumn;
        q += bRow;
      }
      const first = o + n * i + j;
      const second = first + n;
      out[first] = s0; out[first + 1] = s1; out[first + 2] = s2; out[first + 3] = s3;
      out[second] = t0; out[second + 1] = t1; out[second + 2] = t2; out[second + 3] = t3;
    }
  }
}

// For one row.
function multiplyRow(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n) {
  for (let column = 0; column < n; column += 4) {
    const j = column < n - 3 ? column : n - 4;
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    let p = a0;
    let q = b0 + bColumn * j;
    for (let inner = 0; inner < k; inner++) {
      const x = a[p];
      s0 += x * b[q]; s1 += x * b[q + bColumn]; s2 += x * b[q + 2 * bColumn]; s3 += x * b[q + 3 * bColumn];
      p += aColumn;
      q += bRow;
    }
    const first = o + j;
    out[first] = s0; out[first + 1] = s1; out[first + 2] = s2; out[first + 3] = s3;
  }
}

// For fewer columns than four.
function multiplyFew(out, o, a, a0, aRow, aColumn, b, b0, bRow, bColumn, m, k, n) {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let inner = 0; inner < k; inner++) {
        sum += a[a0 + aRow * i + aColumn * inner] * b[b0 + bRow * inner + bColumn * j];
      }
      out[o + n * i + j] = sum;
    }
  }
}
