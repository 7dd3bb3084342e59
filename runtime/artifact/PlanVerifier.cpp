// The semantic half of plan verification. Top down: limits and tables of the plan, then each
// function: its inputs and buffers, then its steps in order, keeping the exchanges scattered so
// far. Every check names the place as a path through plan.fbs: "functions[0] (main).steps[12]
// (model.layers.0.mlp).result".
#include <algorithm>
#include <set>
#include <unordered_map>

#include "runtime/artifact/KernelAbi.h"
#include "runtime/artifact/Plan.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

std::string_view view(const flatbuffers::String *string) {
  return {string->data(), string->size()};
}

template <typename... Parts> absl::Status invalid(const Parts &...parts) {
  return absl::InvalidArgumentError(absl::StrCat("plan: ", parts...));
}

bool isIdentifier(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
    return false;
  for (char c : name)
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
      return false;
  return true;
}

/// Names appear in messages and file headers: no control characters, not empty.
bool isPrintable(std::string_view name) {
  if (name.empty())
    return false;
  for (char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return false;
  return true;
}

template <typename Enum> absl::Status checkEnum(Enum value, Enum last, const std::string &where) {
  if (static_cast<unsigned>(value) > static_cast<unsigned>(last))
    return invalid(where, ": unknown value ", static_cast<unsigned>(value), "; the last known is ",
                   static_cast<unsigned>(last));
  return absl::OkStatus();
}

/// Checks that a name is printable and the first of its kind.
absl::Status checkName(const flatbuffers::String *name, const std::string &where,
                       std::set<std::string_view> &names) {
  if (!isPrintable(view(name)))
    return invalid(where, ".name: expected a name without control characters");
  if (!names.insert(view(name)).second)
    return invalid(where, ".name: \"", abslView(view(name)), "\" is there twice");
  return absl::OkStatus();
}

/// Verifies the steps of one function against its buffers and the plan's tables.
class FunctionVerifier {
public:
  FunctionVerifier(const plan::Plan &plan, const plan::Function &function, std::string where)
      : plan_(plan), function_(function), where_(std::move(where)) {}

  absl::Status verify() {
    EPIGRAPH_RETURN_IF_ERROR(collectExchanges());
    EPIGRAPH_RETURN_IF_ERROR(verifyInputs());
    EPIGRAPH_RETURN_IF_ERROR(verifyBuffers());
    for (uint32_t i = 0; i < function_.steps()->size(); ++i) {
      const plan::Step &step = *function_.steps()->Get(i);
      std::string where = absl::StrCat(where_, ".steps[", i, "]");
      if (step.location())
        absl::StrAppend(&where, " (", abslView(view(step.location())), ")");
      EPIGRAPH_RETURN_IF_ERROR(verifyStep(step, where));
    }
    return verifyOutputs();
  }

private:
  absl::Status collectExchanges();
  absl::Status verifyInputs();
  absl::Status verifyBuffers();
  absl::Status verifyOutputs();
  absl::Status verifyStep(const plan::Step &step, const std::string &where);
  absl::Status verifyLaunch(const plan::Launch &launch, const std::string &where);
  absl::Status verifyCollective(const plan::Collective &collective, const std::string &where);
  absl::Status verifyScatter(const plan::ScatterExperts &scatter, const std::string &where);
  absl::Status verifyGather(const plan::GatherExperts &gather, const std::string &where);

  absl::Status checkRows(const plan::Rows *rows, const std::string &where) const;
  absl::Status checkRef(const plan::Ref *ref, const std::string &where) const;
  absl::Status checkScattered(const plan::Rows &rows, const std::string &where) const;
  /// Sets `buffer` to what `ref` names, which must be a buffer.
  absl::Status bufferOf(const plan::Ref *ref, const std::string &where,
                        const plan::Buffer *&buffer) const;
  absl::Status checkCounts(const plan::Ref *ref, uint64_t count, bool exact,
                           const std::string &where) const;
  absl::Status checkPlacement(uint32_t index, const std::string &where) const;
  uint64_t mostLocalExperts(const plan::Placement &placement) const;

  const plan::Plan &plan_;
  const plan::Function &function_;
  std::string where_;
  std::set<uint16_t> exchanges_;                     ///< that some step scatters
  std::unordered_map<uint16_t, uint32_t> scattered_; ///< so far, with their placement
};

absl::Status FunctionVerifier::collectExchanges() {
  for (const plan::Step *step : *function_.steps())
    if (const plan::ScatterExperts *scatter = step->op_as_ScatterExperts())
      if (!exchanges_.insert(scatter->exchange()).second)
        return invalid(where_, ": exchange ", scatter->exchange(), " is scattered twice");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkRows(const plan::Rows *rows, const std::string &where) const {
  if (!rows)
    return invalid(where, ".rows: missing");
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(rows->kind(), plan::RowKind::MAX, where + ".rows.kind"));
  if (rows->factor() == 0)
    return invalid(where, ".rows.factor: expected at least 1");
  if (rows->kind() == plan::RowKind::Received && !exchanges_.count(rows->id()))
    return invalid(where, ".rows.id: no step scatters exchange ", rows->id());
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyInputs() {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < function_.inputs()->size(); ++i) {
    const plan::Input &input = *function_.inputs()->Get(i);
    std::string where = absl::StrCat(where_, ".inputs[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(input.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(input.dtype(), plan::DType::MAX, where + ".dtype"));
    if (input.row_elements() == 0)
      return invalid(where, ".row_elements: expected at least 1");
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyBuffers() {
  for (uint32_t i = 0; i < function_.buffers()->size(); ++i) {
    const plan::Buffer &buffer = *function_.buffers()->Get(i);
    std::string where = absl::StrCat(where_, ".buffers[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(buffer.dtype(), plan::DType::MAX, where + ".dtype"));
    EPIGRAPH_RETURN_IF_ERROR(checkRows(buffer.rows(), where));
    if (buffer.row_elements() == 0)
      return invalid(where, ".row_elements: expected at least 1");
    if (buffer.offset() % kBufferAlignment != 0)
      return invalid(where, ".offset: ", buffer.offset(), " is not a multiple of ",
                     kBufferAlignment);
    uint64_t end = 0;
    if (__builtin_add_overflow(buffer.offset(), buffer.bytes(), &end) || end > plan_.arena_bytes())
      return invalid(where, ": offset ", buffer.offset(), " + ", buffer.bytes(),
                     " bytes is outside the arena of ", plan_.arena_bytes());
    uint64_t rowBytes = buffer.row_elements() * elementBytes(buffer.dtype());
    // Received rows are bounded by the capacity; it must hold at least one unit of them.
    uint64_t rows = maxRows(*buffer.rows(), plan_).value_or(buffer.rows()->factor());
    uint64_t needed = 0;
    if (__builtin_mul_overflow(rowBytes, rows, &needed) || needed > buffer.bytes())
      return invalid(where, ".bytes: ", buffer.bytes(), " cannot hold ", rows, " rows of ",
                     rowBytes, " bytes");
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyOutputs() {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < function_.outputs()->size(); ++i) {
    const plan::Output &output = *function_.outputs()->Get(i);
    std::string where = absl::StrCat(where_, ".outputs[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(output.name(), where, names));
    const plan::Buffer *buffer = nullptr;
    EPIGRAPH_RETURN_IF_ERROR(bufferOf(output.source(), where + ".source", buffer));
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkRef(const plan::Ref *ref, const std::string &where) const {
  if (!ref)
    return invalid(where, ": missing");
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(ref->kind(), plan::RefKind::MAX, where + ".kind"));
  uint64_t count = 0;
  switch (ref->kind()) {
  case plan::RefKind::Input:
    count = function_.inputs()->size();
    break;
  case plan::RefKind::Buffer:
    count = function_.buffers()->size();
    break;
  case plan::RefKind::Weight:
    count = plan_.weights()->size();
    break;
  case plan::RefKind::Cache:
    count = plan_.caches()->size();
    break;
  }
  if (ref->index() >= count)
    return invalid(where, ": ", plan::EnumNameRefKind(ref->kind()), " ", ref->index(),
                   " does not exist; there are ", count);
  if (ref->kind() == plan::RefKind::Buffer)
    return checkScattered(*function_.buffers()->Get(ref->index())->rows(), where);
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkScattered(const plan::Rows &rows,
                                              const std::string &where) const {
  if (rows.kind() == plan::RowKind::Received && !scattered_.count(rows.id()))
    return invalid(where, ": uses rows of exchange ", rows.id(), " before it is scattered");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::bufferOf(const plan::Ref *ref, const std::string &where,
                                        const plan::Buffer *&buffer) const {
  EPIGRAPH_RETURN_IF_ERROR(checkRef(ref, where));
  if (ref->kind() != plan::RefKind::Buffer)
    return invalid(where, ": expected a Buffer, found ", plan::EnumNameRefKind(ref->kind()));
  buffer = function_.buffers()->Get(ref->index());
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyStep(const plan::Step &step, const std::string &where) {
  switch (step.op_type()) {
  case plan::Op::Launch:
    return verifyLaunch(*step.op_as_Launch(), where);
  case plan::Op::Collective:
    return verifyCollective(*step.op_as_Collective(), where);
  case plan::Op::ScatterExperts:
    return verifyScatter(*step.op_as_ScatterExperts(), where);
  case plan::Op::GatherExperts:
    return verifyGather(*step.op_as_GatherExperts(), where);
  case plan::Op::NONE:
    break;
  }
  return invalid(where, ".op: unknown kind of step ", static_cast<unsigned>(step.op_type()));
}

absl::Status FunctionVerifier::verifyLaunch(const plan::Launch &launch, const std::string &where) {
  if (launch.kernel() >= plan_.kernels()->size())
    return invalid(where, ".kernel: ", launch.kernel(), " does not exist; there are ",
                   plan_.kernels()->size());
  for (uint32_t i = 0; i < launch.args()->size(); ++i)
    EPIGRAPH_RETURN_IF_ERROR(
        checkRef(launch.args()->Get(i), absl::StrCat(where, ".args[", i, "]")));
  EPIGRAPH_RETURN_IF_ERROR(checkRows(launch.rows(), where));
  EPIGRAPH_RETURN_IF_ERROR(checkScattered(*launch.rows(), where + ".rows"));
  // The executor counts tiles in int64_t. Received rows are checked there, against what arrived.
  uint64_t rows = maxRows(*launch.rows(), plan_).value_or(0);
  uint64_t rowTiles = launch.row_tile() ? (rows + launch.row_tile() - 1) / launch.row_tile() : 1;
  uint64_t tiles = 0;
  if (launch.column_tiles() == 0)
    return invalid(where, ".column_tiles: expected at least 1");
  if (__builtin_mul_overflow(rowTiles, launch.column_tiles(), &tiles) || tiles > INT64_MAX)
    return invalid(where, ": ", rowTiles, " x ", launch.column_tiles(), " tiles overflow");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyCollective(const plan::Collective &collective,
                                                const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(
      checkEnum(collective.kind(), plan::CollectiveKind::MAX, where + ".kind"));
  const plan::Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(collective.result(), where + ".result", result));
  EPIGRAPH_RETURN_IF_ERROR(checkRef(collective.source(), where + ".source"));
  // An input has one row for each token of the step.
  plan::Rows rows(plan::RowKind::Tokens, 0, 1);
  plan::DType dtype = plan::DType::F32;
  uint64_t elements = 0;
  const plan::Ref &source = *collective.source();
  if (source.kind() == plan::RefKind::Input) {
    const plan::Input &input = *function_.inputs()->Get(source.index());
    dtype = input.dtype();
    elements = input.row_elements();
  } else {
    const plan::Buffer *buffer = nullptr;
    EPIGRAPH_RETURN_IF_ERROR(bufferOf(&source, where + ".source", buffer));
    rows = *buffer->rows();
    dtype = buffer->dtype();
    elements = buffer->row_elements();
  }
  if (dtype != result->dtype() || elements != result->row_elements() ||
      rows.factor() != result->rows()->factor())
    return invalid(where, ": source and result differ in dtype, row_elements or factor");

  using plan::CollectiveKind;
  using plan::RowKind;
  bool shares = collective.kind() == CollectiveKind::ShardRows ||
                collective.kind() == CollectiveKind::ReduceScatter;
  bool gathers = collective.kind() == CollectiveKind::AllGatherRows;
  RowKind from = gathers ? RowKind::LocalTokens : shares ? RowKind::Tokens : rows.kind();
  RowKind to = shares ? RowKind::LocalTokens : gathers ? RowKind::Tokens : rows.kind();
  if (rows.kind() != from || result->rows()->kind() != to)
    return invalid(where, ": ", plan::EnumNameCollectiveKind(collective.kind()), " of rows ",
                   plan::EnumNameRowKind(rows.kind()), " to ",
                   plan::EnumNameRowKind(result->rows()->kind()), "; expected ",
                   plan::EnumNameRowKind(from), " to ", plan::EnumNameRowKind(to));
  if (rows.kind() == RowKind::Received)
    return invalid(where,
                   ": ranks receive different numbers of rows; a collective needs equal ones");
  if (gathers || shares) {
    if (plan_.attention() != plan::Attention::Replicated)
      return invalid(where, ": sharing out rows needs replicated attention");
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkPlacement(uint32_t index, const std::string &where) const {
  if (index >= plan_.placements()->size())
    return invalid(where, ".placement: ", index, " does not exist; there are ",
                   plan_.placements()->size());
  return absl::OkStatus();
}

uint64_t FunctionVerifier::mostLocalExperts(const plan::Placement &placement) const {
  std::vector<uint64_t> counts(plan_.ranks());
  uint64_t most = 0;
  for (uint16_t owner : *placement.owner())
    most = std::max(most, ++counts[owner]);
  return most;
}

absl::Status FunctionVerifier::checkCounts(const plan::Ref *ref, uint64_t count, bool exact,
                                           const std::string &where) const {
  const plan::Buffer *buffer = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(ref, where, buffer));
  if (buffer->dtype() != plan::DType::I32 || buffer->rows()->kind() != plan::RowKind::Static)
    return invalid(where, ": expected Static rows of I32");
  uint64_t elements = uint64_t{buffer->row_elements()} * buffer->rows()->factor();
  if (exact ? elements != count : elements < count)
    return invalid(where, ": has ", elements, " elements; expected ", exact ? "" : "at least ",
                   count, ", one for each expert");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyScatter(const plan::ScatterExperts &scatter,
                                             const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkPlacement(scatter.placement(), where));
  const plan::Placement &placement = *plan_.placements()->Get(scatter.placement());
  const plan::Buffer *rows = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(scatter.rows(), where + ".rows", rows));
  EPIGRAPH_RETURN_IF_ERROR(
      checkCounts(scatter.counts(), placement.owner()->size(), /*exact=*/true, where + ".counts"));
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(scatter.result_counts(), mostLocalExperts(placement),
                                       /*exact=*/false, where + ".result_counts"));
  // From here on the exchange's rows exist; the result is the first to have them.
  scattered_.emplace(scatter.exchange(), scatter.placement());
  const plan::Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(scatter.result(), where + ".result", result));
  if (result->rows()->kind() != plan::RowKind::Received ||
      result->rows()->id() != scatter.exchange() || result->rows()->factor() != 1)
    return invalid(where, ".result: expected rows Received(", scatter.exchange(), ")");
  if (rows->dtype() != result->dtype() || rows->row_elements() != result->row_elements())
    return invalid(where, ": rows and result differ in dtype or row_elements");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyGather(const plan::GatherExperts &gather,
                                            const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkPlacement(gather.placement(), where));
  auto scattered = scattered_.find(gather.exchange());
  if (scattered == scattered_.end())
    return invalid(where, ".exchange: ", gather.exchange(), " is gathered before it is scattered");
  if (scattered->second != gather.placement())
    return invalid(where, ".placement: exchange ", gather.exchange(),
                   " was scattered by placement ", scattered->second, ", found ",
                   gather.placement());
  const plan::Placement &placement = *plan_.placements()->Get(gather.placement());
  EPIGRAPH_RETURN_IF_ERROR(
      checkCounts(gather.counts(), placement.owner()->size(), /*exact=*/true, where + ".counts"));
  const plan::Buffer *rows = nullptr;
  const plan::Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(gather.rows(), where + ".rows", rows));
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(gather.result(), where + ".result", result));
  if (rows->rows()->kind() != plan::RowKind::Received || rows->rows()->id() != gather.exchange() ||
      rows->rows()->factor() != 1)
    return invalid(where, ".rows: expected rows Received(", gather.exchange(), ")");
  if (rows->dtype() != result->dtype() || rows->row_elements() != result->row_elements())
    return invalid(where, ": rows and result differ in dtype or row_elements");
  return absl::OkStatus();
}

absl::Status verifyLimits(const plan::Plan &plan) {
  const plan::Limits &limits = *plan.limits();
  const std::pair<const char *, uint32_t> values[] = {{"batch_tokens", limits.batch_tokens()},
                                                      {"sequences", limits.sequences()},
                                                      {"context", limits.context()}};
  for (const auto &[name, value] : values)
    if (value == 0 || value > INT32_MAX)
      return invalid("limits.", name, ": expected 1 to ", INT32_MAX, ", found ", value);
  if (limits.page_tokens() != kPageTokens)
    return invalid("limits.page_tokens: this runtime has pages of ", kPageTokens, " tokens, found ",
                   limits.page_tokens());
  if (plan.ranks() == 0 || plan.ranks() > UINT16_MAX)
    return invalid("ranks: expected 1 to ", UINT16_MAX, ", found ", plan.ranks());
  return checkEnum(plan.attention(), plan::Attention::MAX, "attention");
}

absl::Status verifyKernels(const plan::Plan &plan) {
  std::set<std::string_view> symbols;
  for (uint32_t i = 0; i < plan.kernels()->size(); ++i) {
    std::string_view symbol = view(plan.kernels()->Get(i)->symbol());
    if (!isIdentifier(symbol))
      return invalid("kernels[", i, "].symbol: expected a C identifier");
    if (!symbols.insert(symbol).second)
      return invalid("kernels[", i, "].symbol: \"", abslView(symbol), "\" is there twice");
  }
  return absl::OkStatus();
}

absl::Status verifyWeights(const plan::Plan &plan) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.weights()->size(); ++i) {
    const plan::Weight &weight = *plan.weights()->Get(i);
    std::string where = absl::StrCat("weights[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(weight.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(weight.dtype(), plan::DType::MAX, where + ".dtype"));
    uint64_t bytes = elementBytes(weight.dtype());
    for (uint64_t size : *weight.shape())
      if (size == 0 || __builtin_mul_overflow(bytes, size, &bytes))
        return invalid(where, " (", abslView(view(weight.name())),
                       ").shape: expected sizes of at least 1 whose product fits 64 bits");
  }
  return absl::OkStatus();
}

absl::Status verifyCaches(const plan::Plan &plan) {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.caches()->size(); ++i) {
    const plan::Cache &cache = *plan.caches()->Get(i);
    std::string where = absl::StrCat("caches[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(cache.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(cache.dtype(), plan::DType::MAX, where + ".dtype"));
    if (cache.entry_elements() == 0)
      return invalid(where, ".entry_elements: expected at least 1");
  }
  return absl::OkStatus();
}

absl::Status verifyPlacements(const plan::Plan &plan) {
  for (uint32_t i = 0; i < plan.placements()->size(); ++i) {
    const auto &owners = *plan.placements()->Get(i)->owner();
    if (owners.size() == 0)
      return invalid("placements[", i, "].owner: no experts");
    for (uint32_t expert = 0; expert < owners.size(); ++expert)
      if (owners[expert] >= plan.ranks())
        return invalid("placements[", i, "].owner[", expert, "]: rank ", owners[expert],
                       " does not exist; there are ", plan.ranks());
  }
  return absl::OkStatus();
}

} // namespace

absl::Status verifyPlan(const plan::Plan &plan) {
  if (plan.version() != kPlanVersion)
    return absl::FailedPreconditionError(
        absl::StrCat("plan: this build reads version ", kPlanVersion, ", found ", plan.version(),
                     "; compile the model again with this version of Epigraph"));
  EPIGRAPH_RETURN_IF_ERROR(verifyLimits(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyKernels(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyWeights(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyCaches(plan));
  EPIGRAPH_RETURN_IF_ERROR(verifyPlacements(plan));
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < plan.functions()->size(); ++i) {
    const plan::Function &function = *plan.functions()->Get(i);
    std::string where = absl::StrCat("functions[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(function.name(), where, names));
    absl::StrAppend(&where, " (", abslView(view(function.name())), ")");
    EPIGRAPH_RETURN_IF_ERROR(FunctionVerifier(plan, function, std::move(where)).verify());
  }
  if (!names.count("main"))
    return invalid("functions: there is no function \"main\"");
  return absl::OkStatus();
}

} // namespace epigraph
