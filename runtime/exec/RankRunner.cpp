#include "runtime/exec/RankRunner.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

/// Adds the time of its scope to a total.
class Timed {
public:
  explicit Timed(std::chrono::nanoseconds &total) : total(total), start(Clock::now()) {}
  ~Timed() { total += Clock::now() - start; }

private:
  std::chrono::nanoseconds &total;
  const Clock::time_point start;
};

SumType sumTypeOf(plan::DType dtype) {
  return dtype == plan::DType::BF16 ? SumType::BFloat16 : SumType::Float32;
}

} // namespace

RankRunner::RankRunner(Driver &driver, const KernelLibrary &kernels, Communicator &communicator,
                       bool replicated, size_t exchanges)
    : driver(driver), kernels(kernels), communicator(communicator), replicated(replicated),
      received(exchanges) {}

absl::Status RankRunner::run(const RankProgram &program, const KernelStep &step) {
  lastTime = StepTime();
  Timed timed(lastTime.total);
  for (const Action &action : program.actions) {
    begun.fetch_add(1, std::memory_order_relaxed);
    if (absl::Status status = runAction(program, action, step); !status.ok()) {
      communicator.abort(status);
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status RankRunner::runAction(const RankProgram &program, const Action &action,
                                   const KernelStep &step) {
  if (const auto *launched = std::get_if<LaunchAction>(&action.what)) {
    const Timed timed(lastTime.kernels);
    return withContext(launch(program, *launched, step),
                       absl::StrCat("rank ", communicator.rank(), ": ", action.where));
  }
  const Timed timed(lastTime.communication);
  if (const auto *collective = std::get_if<CollectiveAction>(&action.what))
    return exchange(*collective, step, action.where);
  return exchange(std::get<ExpertsAction>(action.what), step, action.where);
}

absl::Status RankRunner::launch(const RankProgram &program, const LaunchAction &action,
                                const KernelStep &step) {
  const int64_t rows = rowsOf(action.rows, step);
  int64_t tiles = action.columnTiles;
  if (action.rowTile != 0) {
    const int64_t rowTiles = (rows + action.rowTile - 1) / action.rowTile;
    // Rows known only now, those received, are bounded by memory; but the product is the plan's.
    if (__builtin_mul_overflow(rowTiles, tiles, &tiles))
      return absl::InternalError(absl::StrCat("a launch over ", rows, " rows has too many tiles"));
  }
  return driver.launch(kernels, action.kernel, program.arguments.data() + action.firstArgument,
                       step, rows, tiles);
}

absl::Status RankRunner::exchange(const CollectiveAction &action, const KernelStep &step,
                                  const std::string &where) {
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t sourceBytes, bytesOf(action.source, step));
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t resultBytes, bytesOf(action.result, step));
  const absl::Span<const uint8_t> source(action.source.address, sourceBytes);
  const absl::Span<uint8_t> result(action.result.address, resultBytes);
  const SumType sumType = sumTypeOf(action.source.dtype);
  // A row here is all that belongs to one token: `factor` rows of the array.
  const size_t tokenBytes = action.source.rowBytes * action.source.rows.factor;
  switch (action.kind) {
  case plan::CollectiveKind::ShardRows: {
    const RowShare share = shareOf(step.tokens, communicator.rank(), communicator.size());
    std::memmove(result.data(), source.data() + static_cast<size_t>(share.begin) * tokenBytes,
                 resultBytes);
    return absl::OkStatus();
  }
  case plan::CollectiveKind::AllGatherRows:
    return communicator.allGather(source, result, where);
  case plan::CollectiveKind::AllReduce:
    return communicator.allReduce(sumType, source, result, where);
  case plan::CollectiveKind::ReduceScatter:
    return communicator.reduceScatter(sumType, source, step.tokens, tokenBytes, result, where);
  }
  return absl::InternalError("unknown kind of collective");
}

absl::Status RankRunner::exchange(const ExpertsAction &action, const KernelStep &step,
                                  const std::string &where) {
  // What this rank sends lies in rows counted by the plan; what it receives, up to the capacity.
  if (action.scatters) {
    EPIGRAPH_ASSIGN_OR_RETURN(const size_t sent, bytesOf(action.rows, step));
    const ExpertExchange exchange{action.owner,
                                  action.counts,
                                  action.rows.rowBytes,
                                  {action.rows.address, sent},
                                  {action.result.address, action.result.capacity}};
    EPIGRAPH_ASSIGN_OR_RETURN(received[action.exchange],
                              communicator.scatterExperts(exchange, action.resultCounts, where));
    return absl::OkStatus();
  }
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t arrived, bytesOf(action.rows, step));
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t sent, bytesOf(action.result, step));
  return communicator.gatherExperts({action.owner,
                                     action.counts,
                                     action.rows.rowBytes,
                                     {action.rows.address, arrived},
                                     {action.result.address, sent}},
                                    where);
}

int64_t RankRunner::rowsOf(const RowCount &count, const KernelStep &step) const {
  int64_t quantity = 1;
  switch (count.kind) {
  case plan::RowKind::Static:
    break;
  case plan::RowKind::Tokens:
    quantity = step.tokens;
    break;
  case plan::RowKind::Outputs:
    quantity = step.outputs;
    break;
  case plan::RowKind::LocalTokens: {
    const RowShare share = shareOf(step.tokens, communicator.rank(), communicator.size());
    quantity = replicated ? share.end - share.begin : step.tokens;
    break;
  }
  case plan::RowKind::Received:
    quantity = received[count.id];
    break;
  }
  return quantity * count.factor;
}

/// Bytes of the rows that `array` has in this step.
absl::StatusOr<size_t> RankRunner::bytesOf(const RowArray &array, const KernelStep &step) const {
  const size_t bytes = static_cast<size_t>(rowsOf(array.rows, step)) * array.rowBytes;
  if (bytes > array.capacity)
    return absl::InternalError(absl::StrCat("rank ", communicator.rank(), ": ", bytes,
                                            " bytes of rows in a buffer of ", array.capacity,
                                            "; the plan's limits are wrong: report this"));
  return bytes;
}

} // namespace epigraph
