/* n more terms of `count` in all: a chain, if these are few, or partial sums. */
static inline {{TYPE}} {{NAME}}_add_up_{{DTYPE}}({{TYPE}} sum, {{TYPE}} *lanes, const {{TYPE}} *terms, int64_t n, int64_t count) {
  if (count <= {{CHAIN}}) {
    for (int64_t i = 0; i < n; i++) sum += terms[i];
    return sum;
  }
  for (int64_t i = 0; i + {{LANES}} <= n; i += {{LANES}}) {
    for (int64_t lane = 0; lane < {{LANES}}; lane++) lanes[lane] += terms[i + lane];
  }
  for (int64_t lane = 0; lane < n % {{LANES}}; lane++) lanes[lane] += terms[n - n % {{LANES}} + lane];
  return sum;
}

/* The partial sums, added up by halves. */
static inline {{TYPE}} {{NAME}}_total_{{DTYPE}}({{TYPE}} sum, {{TYPE}} *lanes, int64_t count) {
  if (count <= {{CHAIN}}) return sum;
  for (int64_t half = {{LANES}} / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  }
  return sum + lanes[0];
}
