// The typed array that the text of an array holds: base64 of its elements.
function typedArray(dtype, base64) {
  const kinds = {
    bool: Uint8Array, i8: Int8Array, i16: Int16Array, i32: Int32Array, i64: BigInt64Array,
    u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, u64: BigUint64Array,
    f16: Float32Array, f32: Float32Array, f64: Float64Array,
  };
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new kinds[dtype](bytes.buffer);
}
