// The processes that are the ranks of one job, on one machine: how they find each other, agree on
// what they run, pass small messages while they load, and notice that one of them is gone.
//
// Every two of them have a connection. The rows of a step do not go through it: see Communicator,
// and PeerTable.h.
#ifndef EPIGRAPH_RUNTIME_COMM_PROCESSGROUP_H
#define EPIGRAPH_RUNTIME_COMM_PROCESSGROUP_H

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "runtime/comm/LocalSocket.h"

namespace epigraph {

struct ProcessGroupOptions {
  int rank = 0;
  int ranks = 1;
  /// What tells this job from others on the machine.
  std::string job;
  /// Equal on all ranks: a digest of what they are about to run.
  std::string digest;
  /// Longest wait of one rank for another.
  std::chrono::milliseconds deadline = std::chrono::seconds(60);
};

/// The name of the job that this process belongs to: what mpirun, torchrun or srun call it; else
/// the process that started this one, as it will have started the others.
std::string jobOfThisProcess();

class ProcessGroup {
public:
  /// Messages of allGather are at most as long.
  static constexpr size_t kMostBytes = size_t{1} << 16;

  /// Meets all other ranks. Errors: DeadlineExceeded when some do not come; InvalidArgument when
  /// they run something else, are of a job of another size, or have the same number.
  static absl::StatusOr<std::unique_ptr<ProcessGroup>> join(const ProcessGroupOptions &options);

  /// The longest wait from now on.
  void setDeadline(std::chrono::milliseconds deadline) { options.deadline = deadline; }

  int rank() const { return options.rank; }
  int ranks() const { return options.ranks; }

  // Collective: all ranks call the same, in the same order. `where` is for messages. Errors:
  // DeadlineExceeded when a rank does not come in time; Aborted when one has given up, with its
  // words, or has ended.

  /// The messages of all ranks, in their order.
  absl::StatusOr<std::vector<std::vector<uint8_t>>> allGather(absl::Span<const uint8_t> own,
                                                              std::string_view where);
  /// The `number` of the first rank.
  absl::StatusOr<uint64_t> agreeOn(uint64_t number, std::string_view where);
  absl::Status barrier(std::string_view where) { return allGather({}, where).status(); }

  /// Whether all others are there still; waits for nobody. Errors: Aborted, as above.
  absl::Status check();

  /// Tells all others that this rank gives up, and why. Only the first time.
  void abort(const absl::Status &reason);

private:
  struct Header;
  struct Message {
    uint32_t sequence; ///< of the collective that it belongs to
    std::vector<uint8_t> bytes;
  };
  struct Peer {
    LocalSocket socket;
    std::deque<Message> early; ///< came while this rank was not at that collective yet
  };

  explicit ProcessGroup(const ProcessGroupOptions &options);
  absl::Status connect(TimePoint end);
  absl::Status exchangeHello(LocalSocket socket, int expected, TimePoint end);
  absl::Status checkHello(const std::string &other, int expected, int &rank) const;
  static absl::StatusOr<Message> receive(const LocalSocket &socket, TimePoint end);
  absl::StatusOr<std::vector<uint8_t>> next(Peer &peer, TimePoint end) const;
  static absl::Status drain(Peer &peer, TimePoint end);
  absl::Status lost(int rank, const absl::Status &status, std::string_view where);

  ProcessGroupOptions options;
  LocalSocket door;        ///< open for as long as this rank is: no other can take its place
  std::vector<Peer> peers; ///< by rank; this one's own socket is not open
  uint32_t sequence = 0;   ///< of the last collective
  absl::Status failed;     ///< once a rank is lost
  bool aborted = false;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_PROCESSGROUP_H
