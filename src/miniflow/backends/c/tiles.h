/* A short loop that is to become vectors, and not single numbers. */
#if defined __GNUC__ && !defined __clang__ && __GNUC__ >= 8
#define {{NAME}}_KEEP_LOOP _Pragma("GCC unroll 1")
#else
#define {{NAME}}_KEEP_LOOP
#endif
