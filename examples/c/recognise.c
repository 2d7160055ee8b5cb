/* Which digit is in a PGM file? The model that comes with miniflow, with weights of 8 bits.

       ./recognise images/recognise/7-0.pgm
*/
#include "pgm.h"
#define digits_HEADER_ONLY
#include "digits.c"

int main(int count, char **paths) {
  for (int k = 1; k < count; k++) {
    float pixels[784], scores[10];
    int best = 0;
    if (read_pgm(paths[k], pixels) != 0) {
      fprintf(stderr, "%s: is no PGM file of 28 by 28 pixels\n", paths[k]);
      return 1;
    }
    if (digits_predict(pixels, scores) != 0) return 1;
    for (int i = 1; i < 10; i++) {
      if (scores[i] > scores[best]) best = i;
    }
    printf("%s: %d\n", paths[k], best);
  }
  return count < 2;
}
