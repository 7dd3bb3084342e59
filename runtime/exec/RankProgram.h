// A function of the plan as one rank runs it: every operand an address, every name resolved. Built
// once, before the first step, so that walking it looks nothing up and allocates nothing.
#ifndef EPIGRAPH_RUNTIME_EXEC_RANKPROGRAM_H
#define EPIGRAPH_RUNTIME_EXEC_RANKPROGRAM_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/artifact/Plan.h"
#include "runtime/comm/Communicator.h"
#include "runtime/device/Driver.h"

namespace epigraph {

/// A row count that depends on the step: quantity(kind, id) * factor. See plan::Rows.
struct RowCount {
  plan::RowKind kind = plan::RowKind::Static;
  uint16_t id = 0;
  uint32_t factor = 1;
};

/// Rows of one rank in memory.
struct RowArray {
  uint8_t *address = nullptr;
  uint64_t capacity = 0; ///< bytes
  uint64_t rowBytes = 0;
  plan::DType dtype = plan::DType::F32;
  RowCount rows;
};

struct LaunchAction {
  uint32_t kernel;
  uint32_t firstArgument; ///< in RankProgram::arguments
  uint32_t argumentCount;
  RowCount rows;
  uint32_t capacity; ///< on a device: the most rows
  uint32_t rowTile;
  uint32_t columnTiles;
  std::unique_ptr<PreparedLaunch> prepared;
};

struct CollectiveAction {
  plan::CollectiveKind kind;
  bool starts; ///< a WaitAction finishes it
  plan::Axis axis;
  RowArray source;
  RowArray result;
};

/// ScatterExperts or GatherExperts, along Expert. Of `rows` and `result`, the one that has Received
/// rows of the exchange is cut to as many as every buffer of the exchange can hold.
struct ExpertsAction {
  bool scatters;
  bool starts; ///< a WaitAction finishes it
  RowArray rows;
  RowArray result;
  absl::Span<const int32_t> counts;
  absl::Span<int32_t> resultCounts; ///< empty when gathering
  std::vector<uint16_t> owner;
  uint16_t exchange;
};

/// Waits for the first `until` of the collectives that the function starts.
struct WaitAction {
  uint64_t until;
};

struct Action {
  std::variant<LaunchAction, CollectiveAction, ExpertsAction, WaitAction> what;
  std::string where; ///< place in the model, for messages
};

struct RankProgram {
  std::vector<Action> actions;
  std::vector<void *> arguments;
  /// On a device, for each argument the rows that it has room for; 0 for weights.
  std::vector<uint32_t> argumentRows;
  /// For each exchange, on a device: the most rows that can arrive when all lanes have
  /// `batchTokens`, the most that there can be; and where their number is.
  int64_t batchTokens = 0;
  std::vector<int64_t> receivedRows;
  std::vector<const int32_t *> receivedCounts;
  RowArray logits;
  RowArray chosen; ///< null address: the function has no output "chosen"
  RowArray hidden; ///< null address: the function has no output "hidden"
  plan::DType hiddenInputType = plan::DType::F32;
  bool takesHidden = false;
  size_t exchanges = 0; ///< one more than the largest id
};

/// What operands refer to, on one rank.
struct RankAddresses {
  uint8_t *arena = nullptr;
  uint8_t *ids = nullptr;
  uint8_t *hidden = nullptr;
  std::vector<uint8_t *> weights; ///< by index in the plan
  std::vector<uint8_t *> caches;
  uint64_t cacheSlots = 0; ///< entries that each cache has room for
};

/// Resolves `function` of a verified plan, for a model with `vocab` tokens and hidden states of
/// `hidden` numbers. Errors: FailedPrecondition, naming the step, for what a well-formed plan may
/// say and this runtime does not do: an unknown input, outputs of an unexpected form, sums of
/// integers, exchanges whose source and result overlap, tensor maps that reach beyond a cache.
absl::StatusOr<RankProgram> resolveFunction(const plan::Plan &plan, const plan::Function &function,
                                            const RankAddresses &addresses, uint32_t vocab,
                                            uint32_t hidden);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_RANKPROGRAM_H
