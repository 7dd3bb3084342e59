// What fuzz targets check beyond not crashing.
#ifndef EPIGRAPH_TEST_FUZZ_EXPECT_H
#define EPIGRAPH_TEST_FUZZ_EXPECT_H

#include <cstdio>
#include <cstdlib>

/// Ends the program, as a crash would, when `condition` is false.
#define FUZZ_EXPECT(condition)                                                                     \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition);                \
      std::abort();                                                                                \
    }                                                                                              \
  } while (false)

#endif // EPIGRAPH_TEST_FUZZ_EXPECT_H
