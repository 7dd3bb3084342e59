#include "runtime/artifact/Plan.h"

#include "runtime/base/FileSystem.h"
#include "runtime/base/Status.h"

namespace epigraph {

uint64_t elementBytes(plan::DType dtype) {
  switch (dtype) {
  case plan::DType::F8E4M3:
    return 1;
  case plan::DType::BF16:
    return 2;
  case plan::DType::F32:
  case plan::DType::I32:
    break;
  }
  return 4;
}

DType storedType(plan::DType dtype) {
  switch (dtype) {
  case plan::DType::F32:
    return DType::F32;
  case plan::DType::BF16:
    return DType::BF16;
  case plan::DType::I32:
    return DType::I32;
  case plan::DType::F8E4M3:
    return DType::F8_E4M3;
  }
  return DType::F32; // not reached: a verified plan has no other
}

uint32_t ranksAlong(plan::Axis axis, const plan::Plan &plan) {
  return axis == plan::Axis::Tensor ? plan.tensor() : plan.ranks() / plan.tensor();
}

bool isShare(plan::RowKind kind) {
  return kind == plan::RowKind::LocalTokens || kind == plan::RowKind::LocalFirstHalf ||
         kind == plan::RowKind::LocalSecondHalf;
}

uint64_t halfOf(plan::RowKind kind, uint64_t rows) {
  if (kind == plan::RowKind::FirstHalf || kind == plan::RowKind::LocalFirstHalf)
    return rows - rows / 2;
  if (kind == plan::RowKind::SecondHalf || kind == plan::RowKind::LocalSecondHalf)
    return rows / 2;
  return rows;
}

bool startsOnly(const plan::Step &step) {
  if (const plan::Collective *collective = step.op_as_Collective())
    return collective->starts();
  if (const plan::ScatterExperts *scatter = step.op_as_ScatterExperts())
    return scatter->starts();
  const plan::GatherExperts *gather = step.op_as_GatherExperts();
  return gather && gather->starts();
}

std::optional<uint64_t> maxRows(const plan::Rows &rows, const plan::Plan &plan) {
  const plan::Limits &limits = *plan.limits();
  uint64_t tokens = limits.batch_tokens();
  // Factors and limits have 32 bits, so that no product overflows.
  switch (rows.kind()) {
  case plan::RowKind::Static:
    return rows.factor();
  case plan::RowKind::Tokens:
  case plan::RowKind::FirstHalf:
  case plan::RowKind::SecondHalf:
    return halfOf(rows.kind(), tokens) * rows.factor();
  case plan::RowKind::Outputs:
    return uint64_t{limits.sequences()} * rows.factor();
  case plan::RowKind::LocalTokens:
  case plan::RowKind::LocalFirstHalf:
  case plan::RowKind::LocalSecondHalf: {
    const plan::Axis axis = static_cast<plan::Axis>(rows.id());
    const uint64_t ranks = ranksAlong(axis, plan);
    if (axis == plan::Axis::Tensor || plan.attention() == plan::Attention::Replicated)
      tokens = (tokens + ranks - 1) / ranks;
    return halfOf(rows.kind(), tokens) * rows.factor();
  }
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
