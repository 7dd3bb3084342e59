// What the reader accepts must be usable as it is: every view inside the file, of the size that its
// shape says.
#include "runtime/artifact/Safetensors.h"
#include "test/fuzz/Expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  absl::StatusOr<SafetensorsFile> file =
      SafetensorsFile::parse(absl::MakeConstSpan(data, size), "input");
  if (!file.ok()) {
    FUZZ_EXPECT(!file.status().message().empty());
    return 0;
  }
  uint64_t total = 0;
  for (const StoredTensor &tensor : file->tensors()) {
    uint64_t elements = 1;
    for (uint64_t extent : tensor.shape)
      elements *= extent;
    FUZZ_EXPECT(tensor.elements() == elements);
    FUZZ_EXPECT(tensor.bytes.size() == elements * dtypeBytes(tensor.dtype));
    FUZZ_EXPECT(tensor.bytes.data() >= data);
    FUZZ_EXPECT(tensor.bytes.data() + tensor.bytes.size() <= data + size);
    FUZZ_EXPECT(file->find(tensor.name) == &tensor);
    total += tensor.bytes.size();
  }
  FUZZ_EXPECT(total <= size);
  return 0;
}
