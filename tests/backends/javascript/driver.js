// Runs jobs that a test has written as JSON, in Node or in a page, and tells what came out, bit by
// bit: arrays and floats are base64 of their bytes, bigints are decimal.

const KINDS = {
  Uint8Array, Int8Array, Int16Array, Uint16Array, Int32Array, Uint32Array,
  BigInt64Array, BigUint64Array, Float32Array, Float64Array,
};

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;
}

function base64Of(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function decoded(value) {
  if (value.number !== undefined) return new Float64Array(bytesOf(value.number))[0];
  if (value.bigint !== undefined) return BigInt(value.bigint);
  if (value.boolean !== undefined) return value.boolean;
  return value.plain === undefined ? new KINDS[value.array](bytesOf(value.data)) : value.plain;
}

function encoded(value) {
  if (typeof value === "number") return { number: base64Of(Float64Array.of(value)) };
  if (typeof value === "bigint") return { bigint: String(value) };
  if (typeof value === "boolean") return { boolean: value };
  if (!ArrayBuffer.isView(value)) return { plain: value };
  return { array: value.constructor.name, data: base64Of(value) };
}

// One job: a function, its constants, and the arguments of several runs. `kept` are the places of
// arguments that each run takes over from the one before, as they were left.
function runJob({ code, constants, runs, kept }) {
  const program = new Function(`${code}; return program;`)()(constants.map(decoded));
  const told = [];
  const returned = new Set();
  let args = null;
  for (const given of runs) {
    const last = args;
    args = given.map((value, i) => (last && kept.includes(i) ? last[i] : decoded(value)));
    try {
      const results = program.run(args);
      const shared = results.map((result) => args.indexOf(result));
      const isNew = results.every((result, i) =>
        typeof result !== "object" || shared[i] >= 0 || !returned.has(result));
      if (!isNew) throw new Error("a result was returned before");
      results.forEach((result) => returned.add(result));
      told.push({ results: results.map(encoded), args: args.map(encoded), shared });
    } catch (error) {
      told.push({ error: `${error.name}: ${error.message}`, args: args.map(encoded) });
    }
  }
  return { runs: told };
}

function answer(job) {
  try {
    return job.script ? new Function(`return (${job.script});`)() : runJob(job);
  } catch (error) {
    return { failed: `${error.name}: ${error.message}` };
  }
}

function runJobs(text) {
  return JSON.stringify(JSON.parse(text).map(answer));
}
