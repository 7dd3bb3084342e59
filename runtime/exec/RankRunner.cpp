#include "runtime/exec/RankRunner.h"

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

/// Bytes of what belongs to one token, where the ranks gather their shares of tokens; else 0.
size_t shareBytes(const CollectiveAction &action) {
  const RowCount &rows = action.source.rows;
  return isShare(rows.kind) ? action.source.rowBytes * rows.factor : 0;
}

} // namespace

RankRunner::RankRunner(Driver &driver, const MeshSeat &seat) : driver(driver), seat(seat) {}

absl::Status RankRunner::run(const RankProgram &program, const StepExtent &extent,
                             const BeforeAction &before) {
  lastTime = StepTime();
  underWay.clear(); // a step that failed may have left some
  finished = 0;
  received.clear();
  for (const int64_t most : program.receivedRows)
    received.push_back(mostReceived(most, program.batchTokens, extent));
  Timed timed(lastTime.total);
  for (size_t i = 0; i < program.actions.size(); ++i) {
    begun.fetch_add(1, std::memory_order_relaxed);
    absl::Status status = before ? before(i) : absl::OkStatus();
    if (status.ok())
      status = runAction(program.actions[i], extent);
    if (!status.ok()) {
      seat.expert->abort(status);
      seat.tensor->abort(status);
      return status;
    }
  }
  return absl::OkStatus();
}

/// Of `most` rows, which arrive when every lane has `batchTokens`, those that can in this step. The
/// tokens of a lane may be shared out to ranks, each share rounded up.
int64_t RankRunner::mostReceived(int64_t most, int64_t batchTokens,
                                 const StepExtent &extent) const {
  if (most == 0)
    return 0;
  const int64_t tokens = std::min(extent.laneTokens + seat.expert->size() - 1, batchTokens);
  return (most * tokens + batchTokens - 1) / batchTokens;
}

absl::Status RankRunner::runAction(const Action &action, const StepExtent &extent) {
  if (const auto *launched = std::get_if<LaunchAction>(&action.what)) {
    const Timed timed(lastTime.kernels);
    return withContext(launch(*launched, extent),
                       absl::StrCat("rank ", seat.rank, ": ", action.where));
  }
  const Timed timed(lastTime.communication);
  if (const auto *collective = std::get_if<CollectiveAction>(&action.what))
    return exchange(*collective, extent, action.where);
  if (const auto *wait = std::get_if<WaitAction>(&action.what))
    return finish(wait->until);
  return exchange(std::get<ExpertsAction>(action.what), extent, action.where);
}

absl::Status RankRunner::launch(const LaunchAction &action, const StepExtent &extent) {
  return driver.launch(*action.prepared, rowsOf(action.rows, extent), extent.bounds);
}

absl::Status RankRunner::exchange(const CollectiveAction &action, const StepExtent &extent,
                                  const std::string &where) {
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t sourceBytes, bytesOf(action.source, extent));
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t resultBytes, bytesOf(action.result, extent));
  const absl::Span<const uint8_t> source(action.source.address, sourceBytes);
  const absl::Span<uint8_t> result(action.result.address, resultBytes);
  const SumType sumType = sumTypeOf(action.source.dtype);
  // A row here is all that belongs to one token: `factor` rows of the array.
  const size_t tokenBytes = action.source.rowBytes * action.source.rows.factor;
  Communicator &communicator = seat.along(action.axis);
  switch (action.kind) {
  case plan::CollectiveKind::ShardRows: {
    const RowShare share = seat.shareOfTokens(action.axis, extent.tokens);
    return driver.copy(result.data(), source.data() + static_cast<size_t>(share.begin) * tokenBytes,
                       resultBytes);
  }
  case plan::CollectiveKind::AllGatherRows:
    return perform(communicator, AllGather{source, result, shareBytes(action)}, action.starts,
                   where);
  case plan::CollectiveKind::AllReduce:
    return perform(communicator, AllReduce{sumType, source, result}, action.starts, where);
  case plan::CollectiveKind::ReduceScatter:
    return perform(communicator, ReduceScatter{sumType, source, extent.tokens, tokenBytes, result},
                   action.starts, where);
  case plan::CollectiveKind::GatherColumns:
    return perform(communicator, GatherColumns{source, action.source.rowBytes, result},
                   action.starts, where);
  case plan::CollectiveKind::ShardColumns: {
    const size_t width = action.result.rowBytes;
    const size_t part = static_cast<size_t>(communicator.rank()) * width;
    return driver.copyColumns(result.data(), width, source.data() + part, action.source.rowBytes,
                              width, resultBytes / width);
  }
  }
  return absl::InternalError("unknown kind of collective");
}

absl::Status RankRunner::exchange(const ExpertsAction &action, const StepExtent &extent,
                                  const std::string &where) {
  // What this rank sends lies in rows counted by the plan; what it receives, up to the capacity.
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t rows, bytesOf(action.rows, extent));
  ExpertExchange exchange{action.owner,
                          action.counts,
                          action.rows.rowBytes,
                          {action.rows.address, rows},
                          {action.result.address, action.result.capacity}};
  if (action.scatters)
    return perform(*seat.expert,
                   ScatterExperts{exchange, action.resultCounts, &received[action.exchange]},
                   action.starts, where);
  EPIGRAPH_ASSIGN_OR_RETURN(const size_t sent, bytesOf(action.result, extent));
  exchange.result = exchange.result.subspan(0, sent);
  return perform(*seat.expert, GatherExperts{exchange}, action.starts, where);
}

/// Runs `collective`, or only starts it. One that runs finishes all that were started before it.
absl::Status RankRunner::perform(Communicator &communicator, const Collective &collective,
                                 bool starts, const std::string &where) {
  if (!starts) {
    EPIGRAPH_RETURN_IF_ERROR(finish(finished + underWay.size()));
    return communicator.run(collective, where);
  }
  if (underWay.size() == Communicator::kMostUnderWay)
    EPIGRAPH_RETURN_IF_ERROR(finish(finished + 1));
  EPIGRAPH_RETURN_IF_ERROR(communicator.start(collective, where));
  underWay.push_back(&communicator);
  return absl::OkStatus();
}

/// Waits for the first `until` collectives that this step started.
absl::Status RankRunner::finish(uint64_t until) {
  for (; finished < until && !underWay.empty(); ++finished) {
    Communicator &oldest = *underWay.front();
    underWay.pop_front();
    EPIGRAPH_RETURN_IF_ERROR(oldest.finishOldest());
  }
  return absl::OkStatus();
}

int64_t RankRunner::rowsOf(const RowCount &count, const StepExtent &extent) const {
  int64_t quantity = 1;
  switch (count.kind) {
  case plan::RowKind::Static:
    break;
  case plan::RowKind::Tokens:
  case plan::RowKind::FirstHalf:
  case plan::RowKind::SecondHalf:
    quantity = extent.tokens;
    break;
  case plan::RowKind::Outputs:
    quantity = extent.outputs;
    break;
  case plan::RowKind::LocalTokens:
  case plan::RowKind::LocalFirstHalf:
  case plan::RowKind::LocalSecondHalf: {
    const RowShare share = seat.shareOfTokens(static_cast<plan::Axis>(count.id), extent.tokens);
    quantity = share.end - share.begin;
    break;
  }
  case plan::RowKind::Received:
    quantity = received[count.id];
    break;
  }
  return static_cast<int64_t>(halfOf(count.kind, static_cast<uint64_t>(quantity))) * count.factor;
}

/// Bytes of the rows that `array` has in this step.
absl::StatusOr<size_t> RankRunner::bytesOf(const RowArray &array, const StepExtent &extent) const {
  const size_t bytes = static_cast<size_t>(rowsOf(array.rows, extent)) * array.rowBytes;
  if (bytes > array.capacity)
    return absl::InternalError(absl::StrCat("rank ", seat.rank, ": ", bytes,
                                            " bytes of rows in a buffer of ", array.capacity,
                                            "; the plan's limits are wrong: report this"));
  return bytes;
}

} // namespace epigraph
