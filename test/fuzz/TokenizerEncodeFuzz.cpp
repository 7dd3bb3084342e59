// Any bytes as text: refused when they are not UTF-8, else encoded without loss; a stream of the
// ids gives the text in whole characters.
#include "runtime/text/Tokenizer.h"
#include "runtime/text/Utf8.h"
#include "test/fuzz/Expect.h"

namespace {

const epigraph::Tokenizer &tokenizer() {
  static const epigraph::Tokenizer *instance = [] {
    auto loaded =
        epigraph::Tokenizer::load(EPIGRAPH_SOURCE_DIR "/test/runtime/text/data/deepseek.json");
    FUZZ_EXPECT(loaded.ok());
    return new epigraph::Tokenizer(std::move(*loaded));
  }();
  return *instance;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace epigraph;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  absl::StatusOr<std::vector<int32_t>> ids = tokenizer().encode(text, /*addSpecial=*/false);
  FUZZ_EXPECT(ids.ok() == (findInvalidUtf8(text) == text.npos));
  if (!ids.ok())
    return 0;
  FUZZ_EXPECT(tokenizer().decode(*ids, /*skipSpecial=*/false) == text);
  StreamDecoder decoder(tokenizer(), /*skipSpecial=*/false);
  std::string streamed;
  for (int32_t id : *ids) {
    std::string piece = decoder.push(id);
    FUZZ_EXPECT(findInvalidUtf8(piece) == piece.npos);
    streamed += piece;
  }
  FUZZ_EXPECT(streamed + decoder.finish() == text);
  return 0;
}
