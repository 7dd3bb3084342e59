// A manifest that is accepted is one that we could have written.
#include "runtime/artifact/Manifest.h"
#include "test/fuzz/Expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  absl::StatusOr<Manifest> manifest = parseManifest(text, "input");
  if (!manifest.ok())
    return 0;
  absl::StatusOr<std::string> printed = printManifest(*manifest);
  FUZZ_EXPECT(printed.ok());
  absl::StatusOr<Manifest> again = parseManifest(*printed, "printed");
  FUZZ_EXPECT(again.ok());
  FUZZ_EXPECT(printManifest(*again).value() == *printed);
  return 0;
}
