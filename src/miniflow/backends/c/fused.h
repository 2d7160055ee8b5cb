#include <math.h>
#include <stdint.h>

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

/* x * y + z, rounded once, where the processor can; else multiplied and added, or, with
   -D{{NAME}}_EXACT, rounded once all the same, in doubles. */
#if defined FP_FAST_FMAF || defined __FMA__ || defined __ARM_FEATURE_FMA
#define {{NAME}}_FMA_F32(x, y, z) fmaf(x, y, z)
#elif defined {{NAME}}_EXACT
static inline float {{NAME}}_exact_fma(float x, float y, float z) {
  const double product = (double)x * y, sum = product + z; /* the product is exact */
  const double part = sum - product, lost = (product - (sum - part)) + (z - part);
  union { double number; uint64_t bits; } odd;
  odd.number = sum;
  if ((lost < 0 || lost > 0) && !(odd.bits & 1)) { /* round to odd, and so to float once */
    odd.bits += (lost > 0) == (sum > 0) ? (uint64_t)1 : UINT64_MAX;
  }
  return (float)odd.number;
}
#define {{NAME}}_FMA_F32(x, y, z) {{NAME}}_exact_fma(x, y, z)
#else
#define {{NAME}}_FMA_F32(x, y, z) ((x) * (y) + (z))
#endif
#if defined FP_FAST_FMA || defined __FMA__ || defined __ARM_FEATURE_FMA || defined {{NAME}}_EXACT
#define {{NAME}}_FMA_F64(x, y, z) fma(x, y, z)
#else
#define {{NAME}}_FMA_F64(x, y, z) ((x) * (y) + (z))
#endif
