#include "tools/epigraph/LogitsFile.h"

#include "runtime/artifact/SafetensorsWriter.h"
#include "runtime/base/Status.h"

namespace epigraph::tool {

absl::Status writeLogits(Session &session, const Passage &passage, const std::string &path,
                         const std::string &name) {
  if (path.empty())
    return session.visit(passage,
                         [](size_t, int32_t, absl::Span<const float>) { return absl::OkStatus(); });
  const TensorDeclaration declaration{
      name, DType::F32, {passage.ids.size(), static_cast<uint64_t>(session.info().vocab)}};
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                            SafetensorsWriter::create(path, {declaration}));
  const auto append = [&](size_t, int32_t, absl::Span<const float> logits) {
    return writer.append(
        {reinterpret_cast<const uint8_t *>(logits.data()), logits.size() * sizeof(float)});
  };
  EPIGRAPH_RETURN_IF_ERROR(session.visit(passage, append));
  return writer.finish();
}

} // namespace epigraph::tool
