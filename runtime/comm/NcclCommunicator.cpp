#include "runtime/comm/NcclCommunicator.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

/// Between two looks at the other ranks.
constexpr std::chrono::milliseconds kWatchTime{20};

/// Longest wait for NCCL to give up.
constexpr std::chrono::milliseconds kAbortTime{500};

ncclDataType_t typeOf(SumType type) {
  return type == SumType::BFloat16 ? ncclBfloat16 : ncclFloat32;
}
size_t bytesOf(SumType type) { return type == SumType::BFloat16 ? 2 : 4; }

int placeIn(absl::Span<const int> members, int rank) {
  return static_cast<int>(std::find(members.begin(), members.end(), rank) - members.begin());
}

} // namespace

NcclCommunicator::NcclCommunicator(const NcclApi &api, ProcessGroup &group,
                                   const NcclOptions &options)
    : api(api), group(group), self(placeIn(options.members, group.rank())),
      members(static_cast<int>(options.members.size())), enter(options.enter),
      stream(options.stream) {}

absl::StatusOr<std::unique_ptr<NcclCommunicator>>
NcclCommunicator::create(ProcessGroup &group, const NcclOptions &options) {
  EPIGRAPH_ASSIGN_OR_RETURN(const NcclApi *api, NcclApi::get());
  std::unique_ptr<NcclCommunicator> made(new NcclCommunicator(*api, group, options));
  options.enter();
  // Everybody's first member says how its members meet; the others' words are not for them.
  ncclUniqueId id{};
  if (made->self == 0)
    EPIGRAPH_RETURN_IF_ERROR(api->check(api->getUniqueId(&id), "preparing to meet"));
  EPIGRAPH_ASSIGN_OR_RETURN(
      const std::vector<std::vector<uint8_t>> ids,
      group.allGather({reinterpret_cast<const uint8_t *>(&id), sizeof(id)}, "meeting"));
  const std::vector<uint8_t> &first = ids[static_cast<size_t>(options.members.front())];
  if (first.size() != sizeof(id))
    return absl::InternalError("the ranks do not meet in one way");
  std::memcpy(&id, first.data(), sizeof(id));
  EPIGRAPH_RETURN_IF_ERROR(made->connect(id, options.deadline));
  return made;
}

/// NCCL waits for the other ranks as long as it takes. It does so in a thread that is left behind
/// when one of them is gone.
absl::Status NcclCommunicator::connect(const ncclUniqueId &id, std::chrono::milliseconds deadline) {
  struct Meeting {
    ncclComm_t communicator = nullptr;
    std::promise<ncclResult_t> done;
  };
  const auto meeting = std::make_shared<Meeting>();
  std::future<ncclResult_t> done = meeting->done.get_future();
  std::thread([meeting, id, init = api.commInitRank, size = members, rank = self, enter = enter] {
    enter();
    meeting->done.set_value(init(&meeting->communicator, size, id, rank));
  }).detach();
  const Clock::time_point end = Clock::now() + deadline;
  while (done.wait_for(kWatchTime) != std::future_status::ready) {
    EPIGRAPH_RETURN_IF_ERROR(group.check());
    if (Clock::now() >= end)
      return withCode(ErrorCode::Deadline,
                      absl::DeadlineExceededError(absl::StrCat(
                          "rank ", group.rank(), ": NCCL has not connected the ranks within ",
                          static_cast<double>(deadline.count()) / 1000,
                          " s; NCCL_DEBUG=INFO shows what it waits for")));
  }
  EPIGRAPH_RETURN_IF_ERROR(api.check(done.get(), "connecting the ranks"));
  communicator = meeting->communicator;
  return absl::OkStatus();
}

NcclCommunicator::~NcclCommunicator() {
  if (!communicator)
    return;
  // Destroying waits for what is under way, and with a rank gone that never ends.
  if (!group.check().ok()) {
    abandon();
    return;
  }
  enter();
  api.commDestroy(communicator);
}

absl::Status NcclCommunicator::start(const Collective &collective, std::string_view where) {
  if (!communicator)
    return absl::AbortedError(absl::StrCat(abslView(where), ": this rank has given up before"));
  if (started == kMostUnderWay)
    return absl::InternalError(
        absl::StrCat(abslView(where), ": more than ", kMostUnderWay, " collectives are under way"));
  enter();
  const ncclResult_t result =
      std::visit([this](const auto &each) { return enqueue(each); }, collective);
  if (result == ncclInvalidUsage)
    return absl::UnimplementedError(
        absl::StrCat(abslView(where), ": NCCL has no such collective; compile the model again"));
  if (result != ncclSuccess)
    return withContext(api.check(result, where), absl::StrCat("rank ", group.rank()));
  ++started;
  return absl::OkStatus();
}

absl::Status NcclCommunicator::finishOldest() {
  if (started == 0)
    return absl::InternalError("no collective is under way");
  --started;
  return absl::OkStatus();
}

void NcclCommunicator::abort(const absl::Status &cause) {
  group.abort(cause);
  started = 0;
  if (communicator)
    abandon();
}

/// Aborting a communicator makes its kernels end, but can itself wait for them, and those of
/// recorded steps do not always look up: what is not done soon is left to the end of the process.
void NcclCommunicator::abandon() {
  const auto done = std::make_shared<std::promise<void>>();
  std::future<void> finished = done->get_future();
  std::thread([done, enter = enter, abort = api.commAbort, communicator = communicator] {
    enter();
    abort(communicator);
    done->set_value();
  }).detach();
  finished.wait_for(kAbortTime);
  communicator = nullptr;
}

absl::Status NcclCommunicator::check() const {
  ncclResult_t result = ncclSuccess;
  if (communicator)
    EPIGRAPH_RETURN_IF_ERROR(
        api.check(api.commGetAsyncError(communicator, &result), "looking after collectives"));
  return api.check(result, "a collective");
}

ncclResult_t NcclCommunicator::enqueue(const AllGather &gather) {
  const auto *source = gather.source.data();
  auto *result = gather.result.data();
  const auto ranks = static_cast<size_t>(members);
  if (gather.source.size() * ranks == gather.result.size() && gather.rowBytes == 0)
    return api.allGather(source, result, gather.source.size(), ncclUint8, communicator, stream);
  if (gather.rowBytes == 0)
    return ncclInvalidUsage;
  const auto rows = static_cast<int64_t>(gather.result.size() / gather.rowBytes);
  const RowShare own = shareOf(rows, self, members);
  if (gather.source.size() != static_cast<size_t>(own.end - own.begin) * gather.rowBytes)
    return ncclInvalidUsage;
  if (rows % members == 0)
    return api.allGather(source, result, gather.source.size(), ncclUint8, communicator, stream);
  // Shares differ by a row: each rank says its own.
  ncclResult_t status = api.groupStart();
  for (int rank = 0; rank < members && status == ncclSuccess; ++rank) {
    const RowShare share = shareOf(rows, rank, members);
    const size_t bytes = static_cast<size_t>(share.end - share.begin) * gather.rowBytes;
    if (bytes != 0)
      status = api.broadcast(source, result + static_cast<size_t>(share.begin) * gather.rowBytes,
                             bytes, ncclUint8, rank, communicator, stream);
  }
  const ncclResult_t ended = api.groupEnd();
  return status == ncclSuccess ? ended : status;
}

ncclResult_t NcclCommunicator::enqueue(const AllReduce &reduce) {
  return api.allReduce(reduce.source.data(), reduce.result.data(),
                       reduce.source.size() / bytesOf(reduce.type), typeOf(reduce.type), ncclSum,
                       communicator, stream);
}

ncclResult_t NcclCommunicator::enqueue(const ReduceScatter &scatter) {
  const size_t rowNumbers = scatter.rowBytes / bytesOf(scatter.type);
  const ncclDataType_t type = typeOf(scatter.type);
  const auto *source = scatter.source.data();
  if (scatter.rows % members == 0)
    return api.reduceScatter(source, scatter.result.data(),
                             static_cast<size_t>(scatter.rows / members) * rowNumbers, type,
                             ncclSum, communicator, stream);
  ncclResult_t status = api.groupStart();
  for (int rank = 0; rank < members && status == ncclSuccess; ++rank) {
    const RowShare share = shareOf(scatter.rows, rank, members);
    const size_t count = static_cast<size_t>(share.end - share.begin) * rowNumbers;
    if (count != 0)
      status = api.reduce(source + static_cast<size_t>(share.begin) * scatter.rowBytes,
                          scatter.result.data(), count, type, ncclSum, rank, communicator, stream);
  }
  const ncclResult_t ended = api.groupEnd();
  return status == ncclSuccess ? ended : status;
}

/// NCCL has no strides. Few rows come this way: those whose logits are asked for.
ncclResult_t NcclCommunicator::enqueue(const GatherColumns &gather) {
  const size_t rows = gather.rowBytes == 0 ? 0 : gather.source.size() / gather.rowBytes;
  ncclResult_t status = api.groupStart();
  for (size_t row = 0; row < rows; ++row)
    for (int rank = 0; rank < members && status == ncclSuccess; ++rank) {
      status = api.send(gather.source.data() + row * gather.rowBytes, gather.rowBytes, ncclUint8,
                        rank, communicator, stream);
      if (status == ncclSuccess)
        status = api.recv(gather.result.data() +
                              (row * static_cast<size_t>(members) + static_cast<size_t>(rank)) *
                                  gather.rowBytes,
                          gather.rowBytes, ncclUint8, rank, communicator, stream);
    }
  const ncclResult_t ended = api.groupEnd();
  return status == ncclSuccess ? ended : status;
}

} // namespace epigraph
