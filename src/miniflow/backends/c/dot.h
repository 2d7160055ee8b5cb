/* The product of two long vectors: partial chains, which are added up by halves. */
static void {{NAME}}_dot_{{DTYPE}}(int64_t k, const {{TYPE}} *a, int64_t a0, const {{TYPE}} *b, int64_t b0, {{TYPE}} *c,
    {{TYPE}} alpha, {{TYPE}} beta, int adds) {
  {{TYPE}} lanes[{{LANES}}] = {0};
  int64_t p = 0;
  for (; p + {{LANES}} <= k; p += {{LANES}}) {
    for (int64_t lane = 0; lane < {{LANES}}; lane++) {
      lanes[lane] = {{NAME}}_FMA_{{UPPER}}(a[(p + lane) * a0], b[(p + lane) * b0], lanes[lane]);
    }
  }
  for (int64_t lane = 0; p + lane < k; lane++) {
    lanes[lane] = {{NAME}}_FMA_{{UPPER}}(a[(p + lane) * a0], b[(p + lane) * b0], lanes[lane]);
  }
  for (int64_t half = {{LANES}} / 2; half > 0; half /= 2) {
    for (int64_t lane = 0; lane < half; lane++) lanes[lane] += lanes[lane + half];
  }
  *c = adds ? beta * *c + alpha * lanes[0] : alpha * lanes[0];
}
