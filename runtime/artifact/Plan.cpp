#include "runtime/artifact/Plan.h"

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

namespace epigraph {

uint64_t elementBytes(plan::DType dtype) { return dtype == plan::DType::BF16 ? 2 : 4; }

std::optional<uint64_t> maxRows(const plan::Rows &rows, const plan::Plan &plan) {
  const plan::Limits &limits = *plan.limits();
  uint64_t tokens = limits.batch_tokens();
  // Factors and limits have 32 bits, so that no product overflows.
  switch (rows.kind()) {
  case plan::RowKind::Static:
    return rows.factor();
  case plan::RowKind::Tokens:
    return tokens * rows.factor();
  case plan::RowKind::Outputs:
    return uint64_t{limits.sequences()} * rows.factor();
  case plan::RowKind::LocalTokens:
    if (plan.attention() == plan::Attention::Replicated)
      tokens = (tokens + plan.ranks() - 1) / plan.ranks();
    return tokens * rows.factor();
  case plan::RowKind::Received:
    return std::nullopt;
  }
  return std::nullopt;
}

uint64_t weightBytes(const plan::Weight &weight) {
  uint64_t bytes = elementBytes(weight.dtype());
  for (uint64_t size : *weight.shape())
    bytes *= size;
  return bytes;
}

namespace {

absl::Status verifyFlatBuffer(absl::Span<const uint8_t> bytes) {
  // Plans nest five levels; a large model has some 100,000 tables.
  flatbuffers::Verifier::Options options;
  options.max_depth = 16;
  options.max_tables = 10'000'000;
  flatbuffers::Verifier verifier(bytes.data(), bytes.size(), options);
  if (bytes.size() < 8 || !plan::PlanBufferHasIdentifier(bytes.data()))
    return absl::InvalidArgumentError(absl::StrCat(
        "not a plan: expected the FlatBuffer identifier \"", plan::PlanIdentifier(), "\""));
  if (!plan::VerifyPlanBuffer(verifier))
    return absl::InvalidArgumentError("not a valid FlatBuffer; the file is corrupt");
  return absl::OkStatus();
}

} // namespace

absl::StatusOr<Plan> Plan::parse(absl::Span<const uint8_t> bytes, std::string_view source) {
  if (bytes.size() > kMaxBytes)
    return absl::InvalidArgumentError(absl::StrCat(abslView(source), ": the plan has ",
                                                   bytes.size(), " bytes; at most ", kMaxBytes,
                                                   " are accepted"));
  Plan result(std::vector<uint8_t>(bytes.begin(), bytes.end()));
  EPIGRAPH_RETURN_IF_ERROR(withContext(verifyFlatBuffer(result.bytes_), source));
  EPIGRAPH_RETURN_IF_ERROR(withContext(verifyPlan(*result), source));
  return result;
}

absl::StatusOr<Plan> Plan::open(const std::filesystem::path &path) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::string content, readFile(path, kMaxBytes));
  return parse(
      absl::MakeConstSpan(reinterpret_cast<const uint8_t *>(content.data()), content.size()),
      path.string());
}

const plan::Function *Plan::function(std::string_view name) const {
  for (const plan::Function *function : *(*this)->functions())
    if (name == std::string_view(function->name()->data(), function->name()->size()))
      return function;
  return nullptr;
}

} // namespace epigraph
