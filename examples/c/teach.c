/* A device learns one more class. It has been taught the digits 0 to 8; it is shown nines, and some
   of the others, so that it does not forget them. The first letter of a file's name is its digit.

       ./teach images/teach/?-*.pgm -- images/test/?-*.pgm
*/
#include "pgm.h"
#include <string.h>
#define learner_HEADER_ONLY
#include "learner.c"

#define EPOCHS 4
#define STRIDE 37 /* from one image to the next: a prime, so that each has its turn */

static learner_state state; /* what is learned: on a device, in memory that it keeps */

static int digit_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return (slash == NULL ? path : slash + 1)[0] - '0';
}

/* Count the images that are recognised, of nines (is_nine) or of the others. */
static int examine(char **paths, int count, int is_nine, int *shown) {
  int right = 0;
  *shown = 0;
  for (int k = 0; k < count; k++) {
    float pixels[784], scores[10];
    int best = 0;
    if ((digit_of(paths[k]) == 9) != is_nine || read_pgm(paths[k], pixels) != 0) continue;
    if (learner_predict(&state, pixels, scores) != 0) continue;
    for (int i = 1; i < 10; i++) {
      if (scores[i] > scores[best]) best = i;
    }
    right += best == digit_of(paths[k]);
    ++*shown;
  }
  return right;
}

static void report(const char *when, char **paths, int count) {
  int nines, others;
  const int of_nines = examine(paths, count, 1, &nines);
  const int of_others = examine(paths, count, 0, &others);
  printf("%s: %d of %d nines, %d of %d others\n", when, of_nines, nines, of_others, others);
}

int main(int count, char **paths) {
  int taught = 1;
  while (taught < count && strcmp(paths[taught], "--") != 0) taught++;
  if (taught >= count - 1) return 1;
  learner_init(&state);
  report("before", paths + taught + 1, count - taught - 1);
  for (int epoch = 0; epoch < EPOCHS; epoch++) {
    float sum = 0, loss;
    for (int n = 0, k = 1; n < taught - 1; n++) {
      k = 1 + (k - 1 + STRIDE) % (taught - 1); /* one digit after another, and not all nines at last */
      float pixels[784];
      const int64_t digit = digit_of(paths[k]);
      if (read_pgm(paths[k], pixels) != 0) return 1;
      if (learner_step(&state, pixels, &digit, &loss) != 0) return 1; /* nothing was updated */
      sum += loss;
    }
    printf("epoch %d: loss %.3f\n", epoch + 1, (double)sum / (taught - 1));
  }
  report("after", paths + taught + 1, count - taught - 1);
  return 0;
}
