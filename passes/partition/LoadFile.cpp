#include "passes/partition/LoadFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace llvm;

namespace epigraph {
namespace {

constexpr StringLiteral kFormat = "epigraph-expert-load";
constexpr int64_t kVersion = 1;
/// Counts of 1000 layers of 1000 experts have 20 MB.
constexpr uint64_t kMaxBytes = uint64_t{256} << 20;
/// Counts are exact in double precision up to here.
constexpr int64_t kMaxCount = int64_t{1} << 53;
constexpr size_t kMaxExperts = 65535;

template <typename... Parts> Error problem(const Parts &...parts) {
  std::string text;
  raw_string_ostream stream(text);
  (stream << ... << parts);
  return createStringError(inconvertibleErrorCode(), text);
}

Error readLayer(StringRef name, const json::Value &value, ExpertLoads &loads) {
  const json::Array *counts = value.getAsArray();
  if (!counts || counts->empty() || counts->size() > kMaxExperts)
    return problem("layers.\"", name, "\": expected an array of 1 to ", kMaxExperts,
                   " counts, one for each expert");
  SmallVector<double> &load = loads[name];
  for (const json::Value &entry : *counts) {
    std::optional<int64_t> count = entry.getAsInteger();
    if (!count || *count < 0 || *count > kMaxCount)
      return problem("layers.\"", name, "\"[", load.size(),
                     "]: expected a number of rows, 0 to 2^53");
    load.push_back(static_cast<double>(*count));
  }
  return Error::success();
}

} // namespace

Expected<ExpertLoads> parseExpertLoads(StringRef text) {
  Expected<json::Value> value = json::parse(text);
  if (!value)
    return value.takeError();
  const json::Object *root = value->getAsObject();
  if (!root)
    return problem("expected an object");
  for (const auto &entry : *root)
    if (StringRef key = entry.first; key != "format" && key != "version" && key != "layers")
      return problem("\"", key, "\": unknown key");
  if (root->getString("format") != std::optional<StringRef>(kFormat))
    return problem("format: expected \"", kFormat, "\"");
  if (root->getInteger("version") != std::optional<int64_t>(kVersion))
    return problem("version: this build reads version ", kVersion);
  const json::Object *layers = root->getObject("layers");
  if (!layers)
    return problem("layers: expected an object of arrays of counts");
  ExpertLoads loads;
  for (const auto &entry : *layers)
    if (Error error = readLayer(entry.first, entry.second, loads))
      return std::move(error);
  return loads;
}

Expected<ExpertLoads> readExpertLoads(StringRef path) {
  uint64_t bytes = 0;
  if (std::error_code error = sys::fs::file_size(path, bytes))
    return problem(path, ": ", error.message());
  if (bytes > kMaxBytes)
    return problem(path, ": has ", bytes, " bytes; at most ", kMaxBytes, " are read");
  ErrorOr<std::unique_ptr<MemoryBuffer>> buffer = MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!buffer)
    return problem(path, ": ", buffer.getError().message());
  Expected<ExpertLoads> loads = parseExpertLoads((*buffer)->getBuffer());
  if (!loads)
    return problem(path, ": ", toString(loads.takeError()));
  return loads;
}

} // namespace epigraph
