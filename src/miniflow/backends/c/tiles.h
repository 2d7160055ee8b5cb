/* For GCC: a short loop is to become vectors, and not single numbers; loops keep their order. */
#if __GNUC__ >= 8 && !defined __clang__ && (defined __SSE__ || defined __ARM_NEON)
#define {{NAME}}_KEEP_LOOP _Pragma("GCC unroll 1")
#define {{NAME}}_NO_INTERCHANGE __asm__ volatile("");
#else
#define {{NAME}}_KEEP_LOOP
#define {{NAME}}_NO_INTERCHANGE
#endif
#ifdef __GNUC__
#define {{NAME}}_PREFETCH(place) __builtin_prefetch(place)
#else
#define {{NAME}}_PREFETCH(place) ((void)(place))
#endif
