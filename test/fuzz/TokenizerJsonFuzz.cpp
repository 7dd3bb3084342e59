// A tokenizer that is accepted encodes and decodes; ids are its own.
#include "runtime/text/Tokenizer.h"
#include "test/fuzz/Expect.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  absl::StatusOr<Tokenizer> tokenizer = Tokenizer::parse(text, "input");
  if (!tokenizer.ok())
    return 0;
  absl::StatusOr<std::vector<int32_t>> ids = tokenizer->encode("Hi <s> 12é x\n\n 中😀's");
  if (!ids.ok())
    return 0;
  for (int32_t id : *ids)
    FUZZ_EXPECT(tokenizer->tokenOf(id).has_value());
  tokenizer->decode(*ids, /*skipSpecial=*/false);
  return 0;
}
