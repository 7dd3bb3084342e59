#include "runtime/exec/PeerRegions.h"

#include <algorithm>
#include <atomic>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using std::chrono::milliseconds;

/// What a kernel was waiting for.
std::string describe(uint32_t failure) {
  switch (waitOf(failure)) {
  case PeerWait::Header:
    return "how many tokens it sends";
  case PeerWait::Ids:
    return absl::StrCat("the experts of its token ", tokenOf(failure));
  case PeerWait::Row:
    return absl::StrCat("the row of its token ", tokenOf(failure));
  case PeerWait::Sum:
    return absl::StrCat("what its experts made of token ", tokenOf(failure));
  case PeerWait::Peer:
    break;
  }
  return "an exchange that it has given up";
}

/// NVIDIA's driver shares memory by pages of 2 MiB: what is smaller is a part of one, and other
/// processes are given the page.
uint64_t regionBytes(uint64_t bytes) {
  constexpr uint64_t kSharedPage = uint64_t{2} << 20;
  return (bytes + kSharedPage - 1) / kSharedPage * kSharedPage;
}

} // namespace

uint64_t PeerRegions::bytesFor(uint64_t bytes) {
  return bytes == 0 ? 0 : regionBytes(bytes) + sizeof(PeerTable);
}

absl::StatusOr<std::unique_ptr<PeerRegions>>
PeerRegions::create(Driver &driver, ProcessGroup &group, uint64_t bytes, milliseconds patience,
                    PeerMemory memory) {
  if (group.ranks() > kMostPeers)
    return absl::UnimplementedError(absl::StrCat(group.ranks(),
                                                 " ranks exchange rows through each other's "
                                                 "memory; at most ",
                                                 kMostPeers, " can"));
  std::unique_ptr<PeerRegions> regions(new PeerRegions(driver, group, patience));
  const absl::Status status = regions->connect(bytes, memory);
  if (!status.ok()) {
    group.abort(status);
    return status;
  }
  return regions;
}

absl::Status PeerRegions::connect(uint64_t planned, PeerMemory memory) {
  const uint64_t bytes = regionBytes(planned);
  const std::string purpose = absl::StrCat("exchanges of rank ", group.rank());
  EPIGRAPH_ASSIGN_OR_RETURN(tableMemory, driver.allocate(sizeof(PeerTable), purpose));
  EPIGRAPH_ASSIGN_OR_RETURN(failure, driver.allocateStaging(sizeof(uint32_t), purpose));
  bool isShared = false;
  if (memory != PeerMemory::Host) {
    EPIGRAPH_ASSIGN_OR_RETURN(isShared,
                              shareDevices(bytes, purpose, /*mayFail=*/memory == PeerMemory::Auto));
  }
  if (!isShared)
    EPIGRAPH_RETURN_IF_ERROR(shareHosts(bytes, purpose));
  EPIGRAPH_RETURN_IF_ERROR(writeTable());
  // Every region is zero before anybody writes into one.
  return group.barrier("sharing memory");
}

/// Lets the other ranks have `exported`, this one's region, and reaches theirs.
absl::Status PeerRegions::share(uint64_t bytes, const std::vector<uint8_t> &exported) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<std::vector<uint8_t>> names,
                            group.allGather(exported, "sharing memory"));
  for (int rank = 0; rank < group.ranks(); ++rank) {
    others.emplace_back();
    if (rank == group.rank())
      continue;
    EPIGRAPH_ASSIGN_OR_RETURN(others.back(), driver.importMemory(names[static_cast<size_t>(rank)]));
    if (others.back()->bytes() != bytes)
      return absl::InternalError(absl::StrCat("rank ", rank, " has a region of ",
                                              others.back()->bytes(), " bytes, and rank ",
                                              group.rank(), " one of ", bytes));
  }
  return absl::OkStatus();
}

/// Whether all ranks reach each other's devices; if they `mayFail` to, nothing is kept then.
absl::StatusOr<bool> PeerRegions::shareDevices(uint64_t bytes, const std::string &purpose,
                                               bool mayFail) {
  EPIGRAPH_ASSIGN_OR_RETURN(region, driver.allocate(bytes, purpose));
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<uint8_t> exported, driver.exportMemory(*region));
  const absl::Status status = share(bytes, exported);
  const bool isLinked = errorCodeOf(status) != ErrorCode::NotLinked;
  if (isLinked || !mayFail)
    EPIGRAPH_RETURN_IF_ERROR(status);
  EPIGRAPH_ASSIGN_OR_RETURN(const std::vector<std::vector<uint8_t>> answers,
                            group.allGather({static_cast<uint8_t>(isLinked)}, "sharing memory"));
  const bool areLinked = std::all_of(answers.begin(), answers.end(),
                                     [](const auto &answer) { return answer.at(0) == 1; });
  if (areLinked)
    return true;
  others.clear();
  // A region is kept until nobody reaches it any more.
  EPIGRAPH_RETURN_IF_ERROR(group.barrier("sharing memory"));
  region.reset();
  return false;
}

absl::Status PeerRegions::shareHosts(uint64_t bytes, const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(SharedMemory shared, driver.allocateShared(bytes, purpose));
  region = std::move(shared.memory);
  return share(bytes, shared.exported);
}

absl::Status PeerRegions::writeTable() {
  PeerTable table{};
  table.rank = group.rank();
  table.ranks = group.ranks();
  table.patience = driver.clockTicks(patience);
  for (int rank = 0; rank < group.ranks(); ++rank)
    table.regions[rank] =
        rank == group.rank() ? region->address() : others[static_cast<size_t>(rank)]->address();
  table.failure = reinterpret_cast<uint32_t *>(failure->address());
  EPIGRAPH_RETURN_IF_ERROR(driver.copyIn(
      tableMemory->address(), {reinterpret_cast<const uint8_t *>(&table), sizeof(table)}));
  return driver.synchronize();
}

absl::Status PeerRegions::check() const {
  const uint32_t word = std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t *>(failure->address()))
                            .load(std::memory_order_relaxed);
  if (word == 0)
    return absl::OkStatus();
  // A rank that has ended has not been late.
  EPIGRAPH_RETURN_IF_ERROR(group.check());
  return withCode(ErrorCode::Deadline,
                  absl::DeadlineExceededError(absl::StrCat(
                      "rank ", group.rank(), " waited for rank ", peerOf(word), " for ",
                      static_cast<double>(patience.count()) / 1000, " s: ", describe(word))));
}

} // namespace epigraph
