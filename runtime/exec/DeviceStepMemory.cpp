#include "runtime/exec/DeviceStepMemory.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/artifact/DeviceRows.h"
#include "runtime/base/Status.h"
#include "runtime/exec/AttentionItems.h"

namespace epigraph {
namespace {

/// Of the arrays of a block: a cache line, and what vector loads and tensor maps want.
constexpr size_t kAlignment = 64;
static_assert(sizeof(DeviceStep) % kAlignment == 0);

constexpr uint64_t aligned(uint64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

/// Rows of inputs, of which tensor maps may reach this many.
uint64_t roomFor(uint64_t tokens) {
  return (tokens + kDeviceRowMultiple - 1) / kDeviceRowMultiple * kDeviceRowMultiple;
}

uint64_t blockBytes(const DeviceStepMemory::Options &options) {
  const StepLimits &limits = options.limits;
  const uint64_t perToken = aligned(roomFor(limits.tokens) * sizeof(int32_t));
  uint64_t bytes = sizeof(DeviceStep) + 3 * perToken; // ids, positions and sequence
  bytes += aligned(limits.sequences * limits.pagesOfSequence * sizeof(int32_t));
  bytes += aligned(limits.sequences * sizeof(int32_t)); // output rows
  bytes += aligned(limits.sequences * sizeof(SamplingRow));
  if (options.items.wantedTokenItems != 0)
    bytes += aligned(mostTokenItems(options.items.wantedTokenItems, limits.tokens) *
                     sizeof(AttentionItem)) +
             2 * perToken;
  return bytes + aligned(mostTileItems(limits.tokens, limits.sequences) * sizeof(AttentionItem));
}

uint64_t hiddenInputBytes(const StepLimits &limits) {
  return roomFor(limits.tokens) * limits.hidden * sizeof(float);
}

int32_t counterOf(const RowCount &rows) {
  const int32_t share = kCountShare + shareCounter(rows.id);
  switch (rows.kind) {
  case plan::RowKind::Static:
  case plan::RowKind::Received: // in a buffer: see RankProgram
    break;
  case plan::RowKind::Tokens:
    return kCountTokens;
  case plan::RowKind::FirstHalf:
    return kCountFirstHalf;
  case plan::RowKind::SecondHalf:
    return kCountSecondHalf;
  case plan::RowKind::Outputs:
    return kCountOutputs;
  case plan::RowKind::LocalTokens:
    return share;
  case plan::RowKind::LocalFirstHalf:
    return share + kCountShareFirstHalf - kCountShare;
  case plan::RowKind::LocalSecondHalf:
    return share + kCountShareSecondHalf - kCountShare;
  }
  return kCountOne;
}

} // namespace

uint64_t DeviceStepMemory::bytesFor(const Options &options) {
  return blockBytes(options) + hiddenInputBytes(options.limits);
}

absl::StatusOr<std::unique_ptr<DeviceStepMemory>>
DeviceStepMemory::create(Driver &driver, const Options &options, const MeshSeat &seat) {
  std::unique_ptr<DeviceStepMemory> result(new DeviceStepMemory(driver, options, seat));
  EPIGRAPH_RETURN_IF_ERROR(result->allocate());
  return result;
}

absl::Status DeviceStepMemory::allocate() {
  const std::string batches = absl::StrCat("batches of rank ", seat.rank);
  const std::string results = absl::StrCat("results of rank ", seat.rank);
  const uint64_t bytes = blockBytes(options), hidden = hiddenInputBytes(options.limits);
  EPIGRAPH_ASSIGN_OR_RETURN(block, driver.allocate(bytes, batches));
  EPIGRAPH_ASSIGN_OR_RETURN(stagedBlock, driver.allocateStaging(bytes, batches));
  EPIGRAPH_ASSIGN_OR_RETURN(hiddenRows, driver.allocate(hidden, batches));
  EPIGRAPH_ASSIGN_OR_RETURN(stagedHiddenRows, driver.allocateStaging(hidden, batches));
  EPIGRAPH_ASSIGN_OR_RETURN(
      stagedLogits, driver.allocateStaging(options.limits.sequences * options.logitBytes, results));
  EPIGRAPH_ASSIGN_OR_RETURN(
      stagedChosen, driver.allocateStaging(options.limits.sequences * sizeof(int32_t), results));
  convertedLogits.resize(options.limits.sequences * options.limits.convertedLogits);
  return absl::OkStatus();
}

uint8_t *DeviceStepMemory::ids() const { return block->address() + sizeof(DeviceStep); }

const int32_t *DeviceStepMemory::counter(const RowCount &rows) const {
  return reinterpret_cast<const int32_t *>(block->address() + offsetof(DeviceStep, counts)) +
         counterOf(rows);
}

/// Takes room for `count` values at the end of the block; `onDevice` is where they will be.
template <typename T> absl::Span<T> DeviceStepMemory::append(size_t count, const T *&onDevice) {
  T *values = reinterpret_cast<T *>(stagedBlock->address() + used);
  onDevice = reinterpret_cast<const T *>(block->address() + used);
  used += aligned(count * sizeof(T));
  return {values, count};
}

const int32_t *DeviceStepMemory::appendCopy(absl::Span<const int32_t> values) {
  const int32_t *onDevice = nullptr;
  std::copy(values.begin(), values.end(), append<int32_t>(values.size(), onDevice).begin());
  return onDevice;
}

void DeviceStepMemory::load(const StepBatch &batch, const RankProgram &program) {
  DeviceStep step = {};
  used = sizeof(DeviceStep);
  appendCopy(batch.ids); // first: at ids()
  step.positions = appendCopy(batch.positions);
  step.sequence = appendCopy(batch.sequence);
  step.pageTable = appendCopy(batch.pageTable);
  step.outputRows = appendCopy(batch.outputRows);
  step.tokens = static_cast<int32_t>(batch.ids.size());
  step.outputs = static_cast<int32_t>(batch.outputRows.size());
  step.pageTableStride = batch.pageTableStride;
  if (batch.pageTableStride != 0)
    step.sequences = static_cast<int32_t>(batch.pageTable.size()) / batch.pageTableStride;
  step.peers = peers;
  stepExtent = {step.tokens, step.outputs, step.tokens, {}};
  onlyChosen = batch.onlyChosen && program.chosen.address != nullptr;
  const absl::Span<SamplingRow> sampling =
      append<SamplingRow>(batch.outputRows.size(), step.sampling);
  std::fill(sampling.begin(), sampling.end(), SamplingRow());
  std::copy(batch.sampling.begin(), batch.sampling.end(), sampling.begin());
  addItems(batch, step);
  count(step.tokens, step.outputs, step.counts);
  std::memcpy(stagedBlock->address(), &step, sizeof(step));

  hiddenBytes = batch.hidden.size() * elementBytes(program.hiddenInputType);
  convertFromFloat32(batch.hidden, program.hiddenInputType, stagedHiddenRows->address());
}

void DeviceStepMemory::addItems(const StepBatch &batch, DeviceStep &step) {
  const AttentionTokens tokens{batch.positions, batch.sequence};
  const bool oneEach = hasOneTokenEach(tokens);
  const ItemNeeds &needs = options.items;
  if (needs.of(oneEach).tokenItems) {
    const size_t most = mostTokenItems(needs.wantedTokenItems, batch.ids.size());
    const absl::Span<int32_t> partials = append<int32_t>(2 * batch.ids.size(), step.tokenPartials);
    const size_t begin = used;
    const absl::Span<AttentionItem> items = append<AttentionItem>(most, step.tokenItems);
    const size_t made = makeTokenItems(tokens, needs.wantedTokenItems, items, partials);
    step.tokenItemCount = static_cast<int32_t>(made);
    used = begin + aligned(made * sizeof(AttentionItem));
  }
  if (needs.of(oneEach).tileItems) {
    const size_t most = mostTileItems(batch.ids.size(), static_cast<uint64_t>(step.sequences));
    const size_t begin = used;
    const size_t made = makeTileItems(tokens, append<AttentionItem>(most, step.tileItems));
    step.tileItemCount = static_cast<int32_t>(made);
    used = begin + aligned(made * sizeof(AttentionItem));
  }
  stepExtent.bounds = {step.tokenItemCount, step.tileItemCount, oneEach};
}

void DeviceStepMemory::count(int64_t tokens, int64_t outputs, int32_t *counts) const {
  const auto halves = [](int64_t rows, int32_t *whole) {
    whole[0] = static_cast<int32_t>(rows);
    whole[1] = static_cast<int32_t>(rows - rows / 2);
    whole[2] = static_cast<int32_t>(rows / 2);
  };
  counts[kCountOne] = 1;
  counts[kCountOutputs] = static_cast<int32_t>(outputs);
  halves(tokens, counts + kCountTokens);
  for (const plan::Axis axis : plan::EnumValuesAxis()) {
    const RowShare share = seat.shareOfTokens(axis, tokens);
    halves(share.end - share.begin,
           counts + kCountShare + shareCounter(static_cast<int32_t>(axis)));
  }
}

absl::Status DeviceStepMemory::send() {
  if (hiddenBytes != 0)
    EPIGRAPH_RETURN_IF_ERROR(
        driver.copyIn(hiddenRows->address(), {stagedHiddenRows->address(), hiddenBytes}));
  return driver.copyIn(block->address(), {stagedBlock->address(), used});
}

absl::Status DeviceStepMemory::fetch(const RankProgram &program, bool wantHidden) {
  const RowArray &output = onlyChosen ? program.chosen : program.logits;
  DeviceMemory &staged = onlyChosen ? *stagedChosen : *stagedLogits;
  const size_t bytes = static_cast<size_t>(stepExtent.outputs) * output.rowBytes;
  if (bytes != 0)
    EPIGRAPH_RETURN_IF_ERROR(driver.copyOut({staged.address(), bytes}, output.address));
  const size_t hidden = static_cast<size_t>(stepExtent.tokens) * program.hidden.rowBytes;
  if (!wantHidden || hidden == 0)
    return absl::OkStatus();
  // Few runs want hidden states, and then in every step.
  if (!stagedHidden || stagedHidden->bytes() < hidden) {
    EPIGRAPH_ASSIGN_OR_RETURN(
        stagedHidden, driver.allocateStaging(options.limits.tokens * program.hidden.rowBytes,
                                             absl::StrCat("hidden states of rank ", seat.rank)));
  }
  return driver.copyOut({stagedHidden->address(), hidden}, program.hidden.address);
}

void DeviceStepMemory::finish(const RankProgram &program) {
  const RowArray &logits = program.logits;
  if (!onlyChosen && logits.dtype != plan::DType::F32)
    convertToFloat32(stagedLogits->address(), logits.dtype,
                     static_cast<size_t>(stepExtent.outputs) * elementsOfRow(logits),
                     convertedLogits.data());
}

StepResult DeviceStepMemory::result(const RankProgram &program, bool wantHidden) const {
  const RowArray &logits = program.logits;
  const size_t outputs = static_cast<size_t>(stepExtent.outputs);
  StepResult result;
  if (onlyChosen)
    result.chosen.emplace(reinterpret_cast<const int32_t *>(stagedChosen->address()), outputs);
  else
    result.logits = {logits.dtype == plan::DType::F32
                         ? reinterpret_cast<const float *>(stagedLogits->address())
                         : convertedLogits.data(),
                     outputs * elementsOfRow(logits)};
  if (wantHidden && stepExtent.tokens != 0) {
    const RowArray &hidden = program.hidden;
    result.hidden.resize(static_cast<size_t>(stepExtent.tokens) * elementsOfRow(hidden));
    convertToFloat32(stagedHidden->address(), hidden.dtype, result.hidden.size(),
                     result.hidden.data());
  }
  return result;
}

StepExtent DeviceStepMemory::extentOfDecode(int64_t tokens) const {
  StepExtent extent{tokens, tokens, tokens, {}};
  extent.bounds.oneTokenEach = true;
  const ItemNeeds &needs = options.items;
  if (needs.of(true).tokenItems)
    extent.bounds.tokenItems =
        static_cast<int64_t>(mostTokenItems(needs.wantedTokenItems, static_cast<uint64_t>(tokens)));
  if (needs.of(true).tileItems)
    extent.bounds.tileItems = tokens;
  return extent;
}

} // namespace epigraph
