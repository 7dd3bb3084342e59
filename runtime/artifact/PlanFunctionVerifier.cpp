// Verifies a function: its inputs and buffers, then its steps in order, keeping the exchanges
// scattered so far.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "runtime/artifact/Plan.h"
#include "runtime/artifact/PlanChecks.h"

namespace epigraph::plan {
namespace {

/// Verifies the steps of one function against its buffers and the plan's tables.
class FunctionVerifier {
public:
  FunctionVerifier(const Plan &plan, const Function &function, std::string where)
      : plan_(plan), function_(function), where_(std::move(where)) {}

  absl::Status verify() {
    EPIGRAPH_RETURN_IF_ERROR(collectExchanges());
    EPIGRAPH_RETURN_IF_ERROR(verifyInputs());
    EPIGRAPH_RETURN_IF_ERROR(verifyBuffers());
    EPIGRAPH_RETURN_IF_ERROR(verifyExchanges());
    if (isDevicePlan(plan_))
      EPIGRAPH_RETURN_IF_ERROR(verifyDeviceBuffers());
    for (uint32_t i = 0; i < function_.steps()->size(); ++i) {
      const Step &step = *function_.steps()->Get(i);
      std::string where = absl::StrCat(where_, ".steps[", i, "]");
      if (step.location()) {
        if (!isPrintable(view(step.location())))
          return invalid(where, ".location: expected text without control characters");
        absl::StrAppend(&where, " (", abslView(view(step.location())), ")");
      }
      EPIGRAPH_RETURN_IF_ERROR(verifyStep(step, where));
    }
    return verifyOutputs();
  }

private:
  absl::Status collectExchanges();
  absl::Status verifyExchanges() const;
  void noteExchanges(const Launch &launch);
  absl::Status verifyInputs();
  absl::Status verifyBuffers();
  absl::Status verifyDeviceBuffers();
  absl::Status verifyOutputs();
  absl::Status verifyStep(const Step &step, const std::string &where);
  absl::Status verifyLaunch(const Launch &launch, const std::string &where);
  absl::Status verifyCollective(const Collective &collective, const std::string &where);
  absl::Status verifyScatter(const ScatterExperts &scatter, const std::string &where);
  absl::Status verifyGather(const GatherExperts &gather, const std::string &where);

  absl::Status checkRows(const Rows *rows, const std::string &where) const;
  absl::Status checkRef(const Ref *ref, const std::string &where) const;
  absl::Status checkScattered(const Rows &rows, const std::string &where) const;
  /// Sets `buffer` to what `ref` names, which must be a buffer.
  absl::Status bufferOf(const Ref *ref, const std::string &where, const Buffer *&buffer) const;
  absl::Status checkCounts(const Ref *ref, uint64_t count, bool exact,
                           const std::string &where) const;
  absl::Status checkColumns(const Collective &collective, uint64_t source, uint64_t result,
                            const std::string &where) const;
  absl::Status checkCollectiveRows(const Collective &collective, const Rows &rows,
                                   const Rows &result, const std::string &where) const;
  absl::Status checkPlacement(uint32_t index, const std::string &where) const;
  uint64_t mostLocalExperts(const Placement &placement) const;

  const Plan &plan_;
  const Function &function_;
  std::string where_;
  std::optional<DeviceRows> deviceRows_;             ///< of a plan for a device
  std::set<uint16_t> exchanges_;                     ///< that some step scatters
  std::unordered_map<uint16_t, uint32_t> scattered_; ///< so far, with their placement
};

absl::Status FunctionVerifier::collectExchanges() {
  for (const Step *step : *function_.steps())
    if (const ScatterExperts *scatter = step->op_as_ScatterExperts())
      if (!exchanges_.insert(scatter->exchange()).second)
        return invalid(where_, ": exchange ", scatter->exchange(), " is scattered twice");
  if (!function_.exchanges())
    return absl::OkStatus();
  if (!exchanges_.empty() || !isDevicePlan(plan_) || plan_.region_bytes() == 0)
    return invalid(where_, ".exchanges: expected device kernels, a region, and no ScatterExperts");
  if (function_.exchanges()->size() > UINT16_MAX)
    return invalid(where_, ".exchanges: expected at most ", UINT16_MAX);
  for (uint32_t id = 0; id < function_.exchanges()->size(); ++id)
    exchanges_.insert(static_cast<uint16_t>(id));
  return absl::OkStatus();
}

/// Each exchange has a buffer for the number of its rows.
absl::Status FunctionVerifier::verifyExchanges() const {
  for (uint32_t id = 0; function_.exchanges() && id < function_.exchanges()->size(); ++id)
    EPIGRAPH_RETURN_IF_ERROR(checkCounts(function_.exchanges()->Get(id), 1, /*exact=*/false,
                                         absl::StrCat(where_, ".exchanges[", id, "]")));
  return absl::OkStatus();
}

/// The launch that writes the number of rows of an exchange is the first to have them.
void FunctionVerifier::noteExchanges(const Launch &launch) {
  for (uint32_t id = 0; function_.exchanges() && id < function_.exchanges()->size(); ++id)
    for (const Ref *ref : *launch.args())
      if (ref->kind() == RefKind::Buffer && ref->index() == function_.exchanges()->Get(id)->index())
        scattered_.emplace(static_cast<uint16_t>(id), 0);
}

absl::Status FunctionVerifier::checkRows(const Rows *rows, const std::string &where) const {
  if (!rows)
    return invalid(where, ".rows: missing");
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(rows->kind(), RowKind::MAX, where + ".rows.kind"));
  if (rows->factor() == 0)
    return invalid(where, ".rows.factor: expected at least 1");
  if (rows->kind() == RowKind::Received && !exchanges_.count(rows->id()))
    return invalid(where, ".rows.id: no step scatters exchange ", rows->id());
  if (isShare(rows->kind()) && rows->id() > static_cast<uint16_t>(Axis::MAX))
    return invalid(where, ".rows.id: there is no axis ", rows->id());
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyInputs() {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < function_.inputs()->size(); ++i) {
    const Input &input = *function_.inputs()->Get(i);
    std::string where = absl::StrCat(where_, ".inputs[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(input.name(), where, names));
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(input.dtype(), DType::MAX, where + ".dtype"));
    if (input.row_elements() == 0)
      return invalid(where, ".row_elements: expected at least 1");
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyBuffers() {
  for (uint32_t i = 0; i < function_.buffers()->size(); ++i) {
    const Buffer &buffer = *function_.buffers()->Get(i);
    std::string where = absl::StrCat(where_, ".buffers[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkEnum(buffer.dtype(), DType::MAX, where + ".dtype"));
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

/// Device kernels may write rows up to a multiple of kDeviceRowMultiple.
absl::Status FunctionVerifier::verifyDeviceBuffers() {
  deviceRows_.emplace(plan_, function_);
  for (uint32_t i = 0; i < function_.buffers()->size(); ++i) {
    const Buffer &buffer = *function_.buffers()->Get(i);
    const uint64_t rows = deviceRows_->most(*buffer.rows());
    const uint64_t rowBytes = buffer.row_elements() * elementBytes(buffer.dtype());
    uint64_t needed = 0;
    if (rows == 0 || __builtin_mul_overflow(rowBytes, rows, &needed) || needed > buffer.bytes())
      return invalid(where_, ".buffers[", i, "].bytes: ", buffer.bytes(), " cannot hold ",
                     std::max(rows, kDeviceRowMultiple), " rows of ", rowBytes,
                     " bytes: those of the limits, to a multiple of ", kDeviceRowMultiple);
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyOutputs() {
  std::set<std::string_view> names;
  for (uint32_t i = 0; i < function_.outputs()->size(); ++i) {
    const Output &output = *function_.outputs()->Get(i);
    std::string where = absl::StrCat(where_, ".outputs[", i, "]");
    EPIGRAPH_RETURN_IF_ERROR(checkName(output.name(), where, names));
    const Buffer *buffer = nullptr;
    EPIGRAPH_RETURN_IF_ERROR(bufferOf(output.source(), where + ".source", buffer));
  }
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkRef(const Ref *ref, const std::string &where) const {
  if (!ref)
    return invalid(where, ": missing");
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(ref->kind(), RefKind::MAX, where + ".kind"));
  uint64_t count = 0;
  switch (ref->kind()) {
  case RefKind::Input:
    count = function_.inputs()->size();
    break;
  case RefKind::Buffer:
    count = function_.buffers()->size();
    break;
  case RefKind::Weight:
    count = plan_.weights()->size();
    break;
  case RefKind::Cache:
    count = plan_.caches()->size();
    break;
  }
  if (ref->index() >= count)
    return invalid(where, ": ", EnumNameRefKind(ref->kind()), " ", ref->index(),
                   " does not exist; there are ", count);
  if (ref->kind() == RefKind::Buffer)
    return checkScattered(*function_.buffers()->Get(ref->index())->rows(), where);
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkScattered(const Rows &rows, const std::string &where) const {
  if (rows.kind() == RowKind::Received && !scattered_.count(rows.id()))
    return invalid(where, ": uses rows of exchange ", rows.id(), " before it is scattered");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::bufferOf(const Ref *ref, const std::string &where,
                                        const Buffer *&buffer) const {
  EPIGRAPH_RETURN_IF_ERROR(checkRef(ref, where));
  if (ref->kind() != RefKind::Buffer)
    return invalid(where, ": expected a Buffer, found ", EnumNameRefKind(ref->kind()));
  buffer = function_.buffers()->Get(ref->index());
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyStep(const Step &step, const std::string &where) {
  switch (step.op_type()) {
  case Op::Launch:
    return verifyLaunch(*step.op_as_Launch(), where);
  case Op::Collective:
    return verifyCollective(*step.op_as_Collective(), where);
  case Op::ScatterExperts:
    return verifyScatter(*step.op_as_ScatterExperts(), where);
  case Op::GatherExperts:
    return verifyGather(*step.op_as_GatherExperts(), where);
  case Op::Wait: // PlanWaitVerifier.cpp
    return absl::OkStatus();
  case Op::NONE:
    break;
  }
  return invalid(where, ".op: unknown kind of step ", static_cast<unsigned>(step.op_type()));
}

absl::Status FunctionVerifier::verifyLaunch(const Launch &launch, const std::string &where) {
  if (launch.kernel() >= plan_.kernels()->size())
    return invalid(where, ".kernel: ", launch.kernel(), " does not exist; there are ",
                   plan_.kernels()->size());
  noteExchanges(launch);
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
  return deviceRows_ ? verifyLaunchOnDevice(plan_, function_, *deviceRows_, launch, where)
                     : absl::OkStatus();
}

absl::Status FunctionVerifier::verifyCollective(const Collective &collective,
                                                const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(collective.kind(), CollectiveKind::MAX, where + ".kind"));
  EPIGRAPH_RETURN_IF_ERROR(checkEnum(collective.axis(), Axis::MAX, where + ".axis"));
  const Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(collective.result(), where + ".result", result));
  EPIGRAPH_RETURN_IF_ERROR(checkRef(collective.source(), where + ".source"));
  // An input has one row for each token of the step.
  Rows rows(RowKind::Tokens, 0, 1);
  DType dtype = DType::F32;
  uint64_t elements = 0;
  const Ref &source = *collective.source();
  if (source.kind() == RefKind::Input) {
    const Input &input = *function_.inputs()->Get(source.index());
    dtype = input.dtype();
    elements = input.row_elements();
  } else {
    const Buffer *buffer = nullptr;
    EPIGRAPH_RETURN_IF_ERROR(bufferOf(&source, where + ".source", buffer));
    rows = *buffer->rows();
    dtype = buffer->dtype();
    elements = buffer->row_elements();
  }
  EPIGRAPH_RETURN_IF_ERROR(checkColumns(collective, elements, result->row_elements(), where));
  if (dtype != result->dtype() || rows.factor() != result->rows()->factor())
    return invalid(where, ": source and result differ in dtype or factor");
  return checkCollectiveRows(collective, rows, *result->rows(), where);
}

/// A collective of columns changes the elements of a row by the ranks along its axis; others do
/// not.
absl::Status FunctionVerifier::checkColumns(const Collective &collective, uint64_t source,
                                            uint64_t result, const std::string &where) const {
  const uint64_t ranks = ranksAlong(collective.axis(), plan_);
  uint64_t expected = source; // no product overflows: both factors have 32 bits
  if (collective.kind() == CollectiveKind::GatherColumns)
    expected = source * ranks;
  else if (collective.kind() == CollectiveKind::ShardColumns)
    expected = source % ranks == 0 ? source / ranks : 0;
  if (result != expected)
    return invalid(where, ": ", EnumNameCollectiveKind(collective.kind()), " over ", ranks,
                   " ranks of rows of ", source, " elements gives rows of ", expected, ", found ",
                   result);
  return absl::OkStatus();
}

/// How many rows a collective takes and gives, and that all ranks have as many.
absl::Status FunctionVerifier::checkCollectiveRows(const Collective &collective, const Rows &rows,
                                                   const Rows &result,
                                                   const std::string &where) const {
  const CollectiveKind kind = collective.kind();
  const uint16_t axis = static_cast<uint16_t>(collective.axis());
  const bool shares = kind == CollectiveKind::ShardRows || kind == CollectiveKind::ReduceScatter;
  const bool gathers = kind == CollectiveKind::AllGatherRows;
  const RowKind from = gathers ? RowKind::LocalTokens : shares ? RowKind::Tokens : rows.kind();
  const RowKind to = shares ? RowKind::LocalTokens : gathers ? RowKind::Tokens : rows.kind();
  if (rows.kind() != from || result.kind() != to)
    return invalid(where, ": ", EnumNameCollectiveKind(kind), " of rows ",
                   EnumNameRowKind(rows.kind()), " to ", EnumNameRowKind(result.kind()),
                   "; expected ", EnumNameRowKind(from), " to ", EnumNameRowKind(to));
  if (kind == CollectiveKind::ShardColumns)
    return absl::OkStatus(); // Every rank works on its own rows.
  if (rows.kind() == RowKind::Received)
    return invalid(where,
                   ": ranks receive different numbers of rows; a collective needs equal ones");
  const uint16_t shared = gathers ? rows.id() : result.id();
  if ((gathers || shares) && shared != axis)
    return invalid(where, ": along ", EnumNameAxis(collective.axis()),
                   ", but the shares of rows are along axis ", shared);
  if (!gathers && !shares && isShare(rows.kind()) && rows.id() == axis)
    return invalid(where, ": ranks have different shares of rows along this axis; a collective "
                          "needs equal ones");
  if (collective.axis() == Axis::Expert && plan_.attention() != Attention::Replicated)
    return invalid(where, gathers || shares ? ": sharing out rows needs replicated attention"
                                            : ": ranks have rows of their own; a collective along "
                                              "this axis needs replicated attention");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::checkPlacement(uint32_t index, const std::string &where) const {
  if (index >= plan_.placements()->size())
    return invalid(where, ".placement: ", index, " does not exist; there are ",
                   plan_.placements()->size());
  return absl::OkStatus();
}

uint64_t FunctionVerifier::mostLocalExperts(const Placement &placement) const {
  std::vector<uint64_t> counts(plan_.ranks());
  uint64_t most = 0;
  for (uint16_t owner : *placement.owner())
    most = std::max(most, ++counts[owner]);
  return most;
}

absl::Status FunctionVerifier::checkCounts(const Ref *ref, uint64_t count, bool exact,
                                           const std::string &where) const {
  const Buffer *buffer = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(ref, where, buffer));
  if (buffer->dtype() != DType::I32 || buffer->rows()->kind() != RowKind::Static)
    return invalid(where, ": expected Static rows of I32");
  uint64_t elements = uint64_t{buffer->row_elements()} * buffer->rows()->factor();
  if (exact ? elements != count : elements < count)
    return invalid(where, ": has ", elements, " elements; expected ", exact ? "" : "at least ",
                   count, ", one for each expert");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyScatter(const ScatterExperts &scatter,
                                             const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkPlacement(scatter.placement(), where));
  const Placement &placement = *plan_.placements()->Get(scatter.placement());
  const Buffer *rows = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(scatter.rows(), where + ".rows", rows));
  EPIGRAPH_RETURN_IF_ERROR(
      checkCounts(scatter.counts(), placement.owner()->size(), /*exact=*/true, where + ".counts"));
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(scatter.result_counts(), mostLocalExperts(placement),
                                       /*exact=*/false, where + ".result_counts"));
  // From here on the exchange's rows exist; the result is the first to have them.
  scattered_.emplace(scatter.exchange(), scatter.placement());
  const Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(scatter.result(), where + ".result", result));
  if (result->rows()->kind() != RowKind::Received || result->rows()->id() != scatter.exchange() ||
      result->rows()->factor() != 1)
    return invalid(where, ".result: expected rows Received(", scatter.exchange(), ")");
  if (rows->dtype() != result->dtype() || rows->row_elements() != result->row_elements())
    return invalid(where, ": rows and result differ in dtype or row_elements");
  return absl::OkStatus();
}

absl::Status FunctionVerifier::verifyGather(const GatherExperts &gather, const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(checkPlacement(gather.placement(), where));
  auto scattered = scattered_.find(gather.exchange());
  if (scattered == scattered_.end())
    return invalid(where, ".exchange: ", gather.exchange(), " is gathered before it is scattered");
  if (scattered->second != gather.placement())
    return invalid(where, ".placement: exchange ", gather.exchange(),
                   " was scattered by placement ", scattered->second, ", found ",
                   gather.placement());
  const Placement &placement = *plan_.placements()->Get(gather.placement());
  EPIGRAPH_RETURN_IF_ERROR(
      checkCounts(gather.counts(), placement.owner()->size(), /*exact=*/true, where + ".counts"));
  const Buffer *rows = nullptr;
  const Buffer *result = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(gather.rows(), where + ".rows", rows));
  EPIGRAPH_RETURN_IF_ERROR(bufferOf(gather.result(), where + ".result", result));
  if (rows->rows()->kind() != RowKind::Received || rows->rows()->id() != gather.exchange() ||
      rows->rows()->factor() != 1)
    return invalid(where, ".rows: expected rows Received(", gather.exchange(), ")");
  if (rows->dtype() != result->dtype() || rows->row_elements() != result->row_elements())
    return invalid(where, ": rows and result differ in dtype or row_elements");
  return absl::OkStatus();
}

} // namespace

absl::Status verifyFunction(const Plan &plan, const Function &function, const std::string &where) {
  EPIGRAPH_RETURN_IF_ERROR(FunctionVerifier(plan, function, where).verify());
  return verifyWaits(function, where);
}

} // namespace epigraph::plan
