// Kernels for the tests of the CPU driver, built as a library of their own and loaded like an
// artifact's; conformance.ptx has the same for a GPU.
#include "runtime/artifact/KernelAbi.h"

#define EPIGRAPH_TEST_KERNEL extern "C" __attribute__((visibility("default"))) void

/// args: source, result, both [tiles] int64. result[tile] = source[tile] + rows + step->tokens.
EPIGRAPH_TEST_KERNEL test_add_rows(void *const *args, const epigraph::KernelStep *step,
                                   int64_t rows, int64_t begin, int64_t end) {
  const int64_t *source = static_cast<const int64_t *>(args[0]);
  int64_t *result = static_cast<int64_t *>(args[1]);
  for (int64_t tile = begin; tile < end; ++tile)
    result[tile] = source[tile] + rows + step->tokens;
}

/// args: values, [tiles] int64. values[tile] *= 2.
EPIGRAPH_TEST_KERNEL test_double(void *const *args, const epigraph::KernelStep *, int64_t,
                                 int64_t begin, int64_t end) {
  int64_t *values = static_cast<int64_t *>(args[0]);
  for (int64_t tile = begin; tile < end; ++tile)
    values[tile] *= 2;
}
