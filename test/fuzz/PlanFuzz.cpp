// A plan that is accepted can be walked without checks: printing it follows every index.
#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanText.h"
#include "test/fuzz/Expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  absl::StatusOr<Plan> plan = Plan::parse(absl::MakeConstSpan(data, size), "input");
  if (!plan.ok())
    return 0;
  FUZZ_EXPECT(!printPlan(*plan).empty());
  FUZZ_EXPECT(kernelsOf(**plan).size() == (*plan)->kernels()->size());
  for (const plan::Function *function : *(*plan)->functions())
    for (const plan::Buffer *buffer : *function->buffers())
      FUZZ_EXPECT(buffer->offset() + buffer->bytes() <= (*plan)->arena_bytes());
  return 0;
}
