/* The largest, or smallest, of one number and n others, which have room for {{LANES}} more. */
static inline {{TYPE}} {{WORD}}({{TYPE}} found, {{TYPE}} *terms, int64_t n) {
  {{TYPE}} lanes[{{LANES}}];
  for (int64_t lane = 0; lane < {{LANES}}; lane++) lanes[lane] = found;
  for (; n % {{LANES}} != 0; n++) terms[n] = found;
  for (int64_t i = 0; i < n; i += {{LANES}}) {
    for (int64_t lane = 0; lane < {{LANES}}; lane++) lanes[lane] = {{OF_TWO}}(lanes[lane], terms[i + lane]);
  }
  for (int64_t half = {{LANES}} / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; lane++) lanes[lane] = {{OF_TWO}}(lanes[lane], lanes[lane + half]);
  }
  return lanes[0];
}
