#include "runtime/exec/RankProgram.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/DeviceRows.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::Status unsupported(std::string_view where, std::string_view what) {
  return absl::FailedPreconditionError(
      absl::StrCat("plan: ", abslView(where), ": ", abslView(what),
                   "; compile the model again with this version of Epigraph"));
}

RowCount rowCount(const plan::Rows &rows) { return {rows.kind(), rows.id(), rows.factor()}; }

bool overlap(const uint8_t *a, uint64_t aBytes, const uint8_t *b, uint64_t bBytes) {
  return a < b + bBytes && b < a + aBytes;
}

bool overlap(const RowArray &a, const RowArray &b) {
  return overlap(a.address, a.capacity, b.address, b.capacity);
}

class Resolver {
public:
  Resolver(const plan::Plan &plan, const plan::Function &function, const RankAddresses &addresses)
      : plan(plan), function(function), addresses(addresses) {
    if (isDevicePlan(plan))
      deviceRows.emplace(plan, function);
  }

  absl::StatusOr<RankProgram> resolve(uint32_t vocab, uint32_t hidden);

private:
  absl::Status resolveInputs(uint32_t hidden);
  absl::Status resolveOutputs(uint32_t vocab, uint32_t hidden);
  absl::Status resolveChosen(const plan::Output &output);
  absl::Status resolveStep(const plan::Step &step);
  absl::StatusOr<LaunchAction> resolveLaunch(const plan::Launch &launch);
  absl::Status checkCacheMaps(const plan::Launch &launch) const;
  void resolveReceivedRows();
  absl::StatusOr<CollectiveAction> resolveCollective(const plan::Collective &collective);
  template <typename Exchange> ExpertsAction resolveExperts(const Exchange &exchange);
  absl::StatusOr<ExpertsAction> resolveScatter(const plan::ScatterExperts &scatter);
  absl::StatusOr<ExpertsAction> resolveGather(const plan::GatherExperts &gather);

  uint8_t *addressOf(const plan::Ref &ref) const;
  uint8_t *inputAddress(uint32_t index) const;
  RowArray bufferOf(const plan::Ref &ref) const;
  RowArray sourceOf(const plan::Ref &ref) const;
  absl::Span<int32_t> countsOf(const plan::Ref &ref, size_t most) const;
  void cutToExchange(RowArray &rows) const;

  const plan::Plan &plan;
  const plan::Function &function;
  const RankAddresses &addresses;
  std::optional<DeviceRows> deviceRows; ///< of a plan for a device
  std::string where;                    ///< of the step at hand
  /// Collectives started up to and including each step that starts one.
  std::unordered_map<uint32_t, uint64_t> started;
  RankProgram program;
};

absl::StatusOr<RankProgram> Resolver::resolve(uint32_t vocab, uint32_t hidden) {
  where = function.name()->str();
  EPIGRAPH_RETURN_IF_ERROR(resolveInputs(hidden));
  EPIGRAPH_RETURN_IF_ERROR(resolveOutputs(vocab, hidden));
  for (uint32_t i = 0; i < function.steps()->size(); ++i) {
    const plan::Step &step = *function.steps()->Get(i);
    where = step.location() ? step.location()->str() : function.name()->str();
    if (startsOnly(step)) {
      const uint64_t number = started.size() + 1;
      started.emplace(i, number);
    }
    EPIGRAPH_RETURN_IF_ERROR(resolveStep(step));
  }
  resolveReceivedRows();
  return std::move(program);
}

absl::Status Resolver::resolveInputs(uint32_t hidden) {
  for (const plan::Input *input : *function.inputs()) {
    const std::string_view name = input->name()->string_view();
    if (name == "ids" && input->dtype() == plan::DType::I32 && input->row_elements() == 1)
      continue;
    if (name != "hidden" || input->dtype() == plan::DType::I32 || input->row_elements() != hidden)
      return unsupported(where,
                         absl::StrCat("an input '", abslView(name),
                                      "' of this form is not known; expected 'ids' (one I32) or "
                                      "'hidden' (",
                                      hidden, " floating-point numbers)"));
    program.takesHidden = true;
    program.hiddenInputType = input->dtype();
  }
  return absl::OkStatus();
}

absl::Status Resolver::resolveOutputs(uint32_t vocab, uint32_t hidden) {
  for (const plan::Output *output : *function.outputs()) {
    const std::string_view name = output->name()->string_view();
    const bool isLogits = name == "logits";
    if (name == "chosen")
      EPIGRAPH_RETURN_IF_ERROR(resolveChosen(*output));
    if (!isLogits && name != "hidden")
      continue; // nobody else can ask for it
    const RowArray array = bufferOf(*output->source());
    const plan::RowKind kind = isLogits ? plan::RowKind::Outputs : plan::RowKind::Tokens;
    const uint64_t width = isLogits ? vocab : hidden;
    if (array.dtype == plan::DType::I32 || array.rows.kind != kind || array.rows.factor != 1 ||
        array.rowBytes != width * elementBytes(array.dtype))
      return unsupported(where, absl::StrCat("output '", abslView(name), "' is not one row of ",
                                             width, " floating-point numbers for each ",
                                             isLogits ? "output row" : "token"));
    (isLogits ? program.logits : program.hidden) = array;
  }
  return program.logits.address ? absl::OkStatus()
                                : unsupported(where, "there is no output 'logits'");
}

absl::Status Resolver::resolveChosen(const plan::Output &output) {
  program.chosen = bufferOf(*output.source());
  if (program.chosen.dtype != plan::DType::I32 || program.chosen.rowBytes != sizeof(int32_t) ||
      program.chosen.rows.kind != plan::RowKind::Outputs || program.chosen.rows.factor != 1)
    return unsupported(where, "output 'chosen' is not one I32 for each output row");
  return absl::OkStatus();
}

absl::Status Resolver::resolveStep(const plan::Step &step) {
  switch (step.op_type()) {
  case plan::Op::Launch: {
    EPIGRAPH_ASSIGN_OR_RETURN(LaunchAction action, resolveLaunch(*step.op_as_Launch()));
    program.actions.push_back({std::move(action), where});
    return absl::OkStatus();
  }
  case plan::Op::Collective: {
    EPIGRAPH_ASSIGN_OR_RETURN(CollectiveAction action, resolveCollective(*step.op_as_Collective()));
    program.actions.push_back({std::move(action), where});
    return absl::OkStatus();
  }
  case plan::Op::ScatterExperts: {
    EPIGRAPH_ASSIGN_OR_RETURN(ExpertsAction action, resolveScatter(*step.op_as_ScatterExperts()));
    program.actions.push_back({std::move(action), where});
    return absl::OkStatus();
  }
  case plan::Op::GatherExperts: {
    EPIGRAPH_ASSIGN_OR_RETURN(ExpertsAction action, resolveGather(*step.op_as_GatherExperts()));
    program.actions.push_back({std::move(action), where});
    return absl::OkStatus();
  }
  case plan::Op::Wait:
    program.actions.push_back({WaitAction{started.at(step.op_as_Wait()->until())}, where});
    return absl::OkStatus();
  case plan::Op::NONE:
    break;
  }
  return unsupported(where, "a step of an unknown kind");
}

absl::StatusOr<LaunchAction> Resolver::resolveLaunch(const plan::Launch &launch) {
  LaunchAction action = {};
  action.kernel = launch.kernel();
  action.firstArgument = static_cast<uint32_t>(program.arguments.size());
  action.argumentCount = launch.args()->size();
  action.rows = rowCount(*launch.rows());
  action.rowTile = launch.row_tile();
  action.columnTiles = launch.column_tiles();
  for (const plan::Ref *ref : *launch.args())
    program.arguments.push_back(addressOf(*ref));
  if (!deviceRows)
    return action;
  EPIGRAPH_RETURN_IF_ERROR(checkCacheMaps(launch));
  action.capacity = static_cast<uint32_t>(deviceRows->most(*launch.rows()));
  for (const plan::Ref *ref : *launch.args())
    program.argumentRows.push_back(static_cast<uint32_t>(ref->kind() == plan::RefKind::Cache
                                                             ? addresses.cacheSlots
                                                             : deviceRows->room(*ref).value_or(0)));
  return action;
}

/// The plan's verifier does not know how much room caches have.
absl::Status Resolver::checkCacheMaps(const plan::Launch &launch) const {
  for (const plan::Variant *variant : *plan.kernels()->Get(launch.kernel())->variants())
    for (const plan::DeviceLaunch *part : *variant->launches())
      for (uint32_t i = 0; part->maps() && i < part->maps()->size(); ++i) {
        const plan::TensorMap &map = *part->maps()->Get(i);
        const plan::Ref &operand = *launch.args()->Get(map.operand());
        if (operand.kind() != plan::RefKind::Cache)
          continue;
        const plan::Cache &cache = *plan.caches()->Get(operand.index());
        const uint64_t bytes =
            addresses.cacheSlots * cache.entry_elements() * elementBytes(cache.dtype());
        if (bytesOfMap(map, addresses.cacheSlots).value_or(UINT64_MAX) > bytes)
          return unsupported(where, "a tensor map reaches beyond a cache");
      }
  return absl::OkStatus();
}

void Resolver::resolveReceivedRows() {
  if (function.exchanges()) {
    program.exchanges = function.exchanges()->size();
    for (const plan::Ref *ref : *function.exchanges())
      program.receivedCounts.push_back(reinterpret_cast<const int32_t *>(bufferOf(*ref).address));
  }
  program.batchTokens = plan.limits()->batch_tokens();
  program.receivedRows.resize(program.exchanges);
  for (size_t id = 0; deviceRows && id < program.exchanges; ++id)
    program.receivedRows[id] = static_cast<int64_t>(
        deviceRows->most({plan::RowKind::Received, static_cast<uint16_t>(id), 1}));
}

absl::StatusOr<CollectiveAction> Resolver::resolveCollective(const plan::Collective &collective) {
  const CollectiveAction action{collective.kind(), collective.starts(), collective.axis(),
                                sourceOf(*collective.source()), bufferOf(*collective.result())};
  // A rank's share is copied within the rank, in one piece; all else is read by other ranks
  // meanwhile.
  if (action.kind != plan::CollectiveKind::ShardRows && overlap(action.source, action.result))
    return unsupported(where, "source and result of a collective overlap");
  const bool sums = action.kind == plan::CollectiveKind::AllReduce ||
                    action.kind == plan::CollectiveKind::ReduceScatter;
  if (sums && action.source.dtype == plan::DType::I32)
    return unsupported(where, "integers are summed over ranks");
  return action;
}

/// What both ways of an exchange have in common.
template <typename Exchange> ExpertsAction Resolver::resolveExperts(const Exchange &exchange) {
  const auto &owner = *plan.placements()->Get(exchange.placement())->owner();
  ExpertsAction action;
  action.scatters = false;
  action.starts = exchange.starts();
  action.rows = bufferOf(*exchange.rows());
  action.result = bufferOf(*exchange.result());
  action.owner.assign(owner.begin(), owner.end());
  action.counts = countsOf(*exchange.counts(), action.owner.size());
  action.exchange = exchange.exchange();
  program.exchanges = std::max(program.exchanges, size_t{exchange.exchange()} + 1);
  return action;
}

absl::StatusOr<ExpertsAction> Resolver::resolveScatter(const plan::ScatterExperts &scatter) {
  ExpertsAction action = resolveExperts(scatter);
  action.scatters = true;
  action.resultCounts = countsOf(*scatter.result_counts(), SIZE_MAX);
  cutToExchange(action.result);
  const RowArray counts = bufferOf(*scatter.counts());
  const RowArray resultCounts = bufferOf(*scatter.result_counts());
  for (const RowArray &source : {action.rows, counts})
    for (const RowArray &result : {action.result, resultCounts})
      if (overlap(source, result))
        return unsupported(where, "source and result of an exchange of expert rows overlap");
  return action;
}

absl::StatusOr<ExpertsAction> Resolver::resolveGather(const plan::GatherExperts &gather) {
  ExpertsAction action = resolveExperts(gather);
  cutToExchange(action.rows);
  const RowArray counts = bufferOf(*gather.counts());
  if (overlap(action.rows, action.result) || overlap(counts, action.result))
    return unsupported(where, "source and result of an exchange of expert rows overlap");
  return action;
}

/// Cuts the capacity of `rows`, which are Received rows, to what all buffers of their exchange can
/// hold.
void Resolver::cutToExchange(RowArray &rows) const {
  uint64_t most = rows.capacity / rows.rowBytes;
  for (const plan::Buffer *buffer : *function.buffers()) {
    const plan::Rows &other = *buffer->rows();
    if (other.kind() == plan::RowKind::Received && other.id() == rows.rows.id)
      most = std::min(most, buffer->bytes() / (elementBytes(buffer->dtype()) *
                                               buffer->row_elements() * other.factor()));
  }
  rows.capacity = most * rows.rowBytes;
}

absl::Span<int32_t> Resolver::countsOf(const plan::Ref &ref, size_t most) const {
  const RowArray array = bufferOf(ref);
  return {reinterpret_cast<int32_t *>(array.address),
          std::min<size_t>(most, array.rowBytes * array.rows.factor / sizeof(int32_t))};
}

RowArray Resolver::bufferOf(const plan::Ref &ref) const {
  const plan::Buffer &buffer = *function.buffers()->Get(ref.index());
  return {addresses.arena + buffer.offset(), buffer.bytes(),
          buffer.row_elements() * elementBytes(buffer.dtype()), buffer.dtype(),
          rowCount(*buffer.rows())};
}

/// The source of a collective: a buffer, or an input.
RowArray Resolver::sourceOf(const plan::Ref &ref) const {
  if (ref.kind() == plan::RefKind::Buffer)
    return bufferOf(ref);
  const plan::Input &input = *function.inputs()->Get(ref.index());
  const uint64_t rowBytes = input.row_elements() * elementBytes(input.dtype());
  return {inputAddress(ref.index()),
          plan.limits()->batch_tokens() * rowBytes,
          rowBytes,
          input.dtype(),
          {plan::RowKind::Tokens, 0, 1}};
}

uint8_t *Resolver::inputAddress(uint32_t index) const {
  const bool isIds = function.inputs()->Get(index)->name()->string_view() == "ids";
  return isIds ? addresses.ids : addresses.hidden;
}

uint8_t *Resolver::addressOf(const plan::Ref &ref) const {
  switch (ref.kind()) {
  case plan::RefKind::Input:
    return inputAddress(ref.index());
  case plan::RefKind::Buffer:
    return bufferOf(ref).address;
  case plan::RefKind::Weight:
    return addresses.weights[ref.index()];
  case plan::RefKind::Cache:
    return addresses.caches[ref.index()];
  }
  return nullptr; // not reached: a verified plan has no other
}

} // namespace

absl::StatusOr<RankProgram> resolveFunction(const plan::Plan &plan, const plan::Function &function,
                                            const RankAddresses &addresses, uint32_t vocab,
                                            uint32_t hidden) {
  return Resolver(plan, function, addresses).resolve(vocab, hidden);
}

} // namespace epigraph
