/* A digit from a PGM file: 28 by 28 bytes, light ink on dark ground or the other way round. */
#ifndef PGM_H
#define PGM_H
#include <stdio.h>

/* One number of the header, behind white space and comments; -1 where there is none. */
static int pgm_number(FILE *file) {
  int c = fgetc(file), number = -1;
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#') {
    if (c == '#') {
      while (c != '\n' && c != EOF) c = fgetc(file);
    }
    c = fgetc(file);
  }
  for (; c >= '0' && c <= '9' && number < 65536; c = fgetc(file)) {
    number = (number < 0 ? 0 : 10 * number) + (c - '0');
  }
  return number;
}

/* Fill 784 pixels, from 0 to 1, ink being 1. Returns 0; -1 if the file is no such image. */
static int read_pgm(const char *path, float *pixels) {
  FILE *file = fopen(path, "rb");
  int well = file != NULL && fgetc(file) == 'P' && fgetc(file) == '5';
  if (well) {
    const int width = pgm_number(file), height = pgm_number(file), most = pgm_number(file);
    unsigned char bytes[784];
    well = width == 28 && height == 28 && most > 0 && most < 256;
    well = well && fread(bytes, 1, 784, file) == 784;
    if (well) {
      const int is_light = 2 * (bytes[0] + bytes[27] + bytes[756] + bytes[783]) > 4 * most;
      for (int i = 0; i < 784; i++) {
        pixels[i] = (float)(is_light ? most - bytes[i] : bytes[i]) / (float)most;
      }
    }
  }
  if (file != NULL) fclose(file);
  return well ? 0 : -1;
}
#endif
