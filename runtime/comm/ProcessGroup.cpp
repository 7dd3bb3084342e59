#include "runtime/comm/ProcessGroup.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

/// Of what ranks say to each other.
constexpr char kProtocol[] = "epigraph-1";
constexpr uint32_t kAbort = UINT32_MAX;

std::string socketName(const std::string &job, int rank) {
  return absl::StrCat("epigraph-", geteuid(), "-", job, "-", rank);
}

absl::Span<const uint8_t> bytesOf(absl::string_view text) {
  return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
}

} // namespace

/// Stands before every message.
struct ProcessGroup::Header {
  uint32_t sequence; ///< of the collective, or kAbort
  uint32_t bytes;
};

std::string jobOfThisProcess() {
  const auto value = [](const char *name) {
    const char *found = std::getenv(name);
    return std::string(found ? found : "");
  };
  for (const char *name : {"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "PMI_JOBID"})
    if (const std::string job = value(name); !job.empty())
      return job;
  if (const std::string job = value("SLURM_JOB_ID"); !job.empty())
    return absl::StrCat(job, ".", value("SLURM_STEP_ID"));
  if (const std::string port = value("MASTER_PORT"); !port.empty())
    return absl::StrCat(value("TORCHELASTIC_RUN_ID"), ":", port);
  return absl::StrCat("of-", getppid());
}

ProcessGroup::ProcessGroup(const ProcessGroupOptions &options)
    : options(options), peers(static_cast<size_t>(options.ranks)) {}

absl::StatusOr<std::unique_ptr<ProcessGroup>>
ProcessGroup::join(const ProcessGroupOptions &options) {
  std::unique_ptr<ProcessGroup> group(new ProcessGroup(options));
  if (options.ranks > 1)
    EPIGRAPH_RETURN_IF_ERROR(group->connect(Clock::now() + options.deadline));
  return group;
}

/// Connects to the ranks before this one, then waits for those behind it.
absl::Status ProcessGroup::connect(TimePoint end) {
  absl::StatusOr<LocalSocket> opened = LocalSocket::listen(socketName(options.job, options.rank));
  if (absl::IsAlreadyExists(opened.status()))
    return withCode(ErrorCode::BadRank, absl::InvalidArgumentError(absl::StrCat(
                                            "rank ", options.rank, " of job ", options.job,
                                            " runs already; give each process a rank of its own")));
  EPIGRAPH_RETURN_IF_ERROR(opened.status());
  door = *std::move(opened);
  int missing = options.ranks - 1;
  const auto late = [&](const absl::Status &status, absl::string_view who) {
    if (!absl::IsDeadlineExceeded(status))
      return withContext(status, absl::StrCat("rank ", options.rank, ": joining the job"));
    return withCode(ErrorCode::Deadline, absl::DeadlineExceededError(absl::StrCat(
                                             "rank ", options.rank, " of ", options.ranks, ": ",
                                             who, " did not join job ", options.job, " within ",
                                             static_cast<double>(options.deadline.count()) / 1000,
                                             " s; start all ranks together, on one machine")));
  };
  for (int rank = 0; rank < options.rank; ++rank, --missing) {
    absl::StatusOr<LocalSocket> socket = LocalSocket::connect(socketName(options.job, rank), end);
    absl::Status status =
        socket.ok() ? exchangeHello(*std::move(socket), rank, end) : socket.status();
    if (!status.ok())
      return late(status, absl::StrCat("rank ", rank));
  }
  for (; missing > 0; --missing) {
    absl::StatusOr<LocalSocket> socket = door.accept(end);
    absl::Status status =
        socket.ok() ? exchangeHello(*std::move(socket), -1, end) : socket.status();
    if (!status.ok())
      return late(status, absl::StrCat(missing, missing == 1 ? " other rank" : " other ranks"));
  }
  return absl::OkStatus();
}

/// Both ends say who they are, and both check it: so both say what is wrong. `expected`: the rank
/// at the other end, or -1 for any behind this one.
absl::Status ProcessGroup::exchangeHello(LocalSocket socket, int expected, TimePoint end) {
  const std::string hello = absl::StrCat(kProtocol, "\n", options.rank, "\n", options.ranks, "\n",
                                         absl::BytesToHexString(options.digest));
  const auto size = static_cast<uint32_t>(hello.size());
  EPIGRAPH_RETURN_IF_ERROR(
      socket.send({reinterpret_cast<const uint8_t *>(&size), sizeof(size)}, end));
  EPIGRAPH_RETURN_IF_ERROR(socket.send(bytesOf(hello), end));
  uint32_t otherSize = 0;
  EPIGRAPH_RETURN_IF_ERROR(
      socket.receive({reinterpret_cast<uint8_t *>(&otherSize), sizeof(otherSize)}, end));
  std::string other(std::min<size_t>(otherSize, kMostBytes), '\0');
  EPIGRAPH_RETURN_IF_ERROR(
      socket.receive({reinterpret_cast<uint8_t *>(other.data()), other.size()}, end));
  int rank = 0;
  EPIGRAPH_RETURN_IF_ERROR(checkHello(other, expected, rank));
  peers[static_cast<size_t>(rank)].socket = std::move(socket);
  return absl::OkStatus();
}

absl::Status ProcessGroup::checkHello(const std::string &other, int expected, int &rank) const {
  const std::vector<std::string> words = absl::StrSplit(other, '\n');
  int ranks = 0;
  if (words.size() != 4 || words[0] != kProtocol || !absl::SimpleAtoi(words[1], &rank) ||
      !absl::SimpleAtoi(words[2], &ranks))
    return absl::InvalidArgumentError(absl::StrCat(
        "a process of job ", options.job, " is not of this version; run the same on all ranks"));
  if (ranks != options.ranks)
    return withCode(ErrorCode::WrongWorld,
                    absl::InvalidArgumentError(absl::StrCat(
                        "rank ", options.rank, " is of ", options.ranks, " ranks, and rank ", rank,
                        " of ", ranks, "; start as many processes as the artifact has ranks")));
  const bool isTaken = rank <= options.rank || rank >= ranks ||
                       peers[static_cast<size_t>(std::max(rank, 0))].socket.isOpen();
  if (expected >= 0 ? rank != expected : isTaken)
    return withCode(ErrorCode::BadRank, absl::InvalidArgumentError(absl::StrCat(
                                            "two processes of job ", options.job, " are rank ",
                                            rank, "; give each a rank of its own")));
  if (words[3] != absl::BytesToHexString(options.digest))
    return withCode(ErrorCode::DifferentArtifacts,
                    absl::InvalidArgumentError(
                        absl::StrCat("rank ", options.rank, " and rank ", rank,
                                     " run different artifacts; give all ranks the same one")));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<uint8_t>>>
ProcessGroup::allGather(absl::Span<const uint8_t> own, std::string_view where) {
  EPIGRAPH_RETURN_IF_ERROR(failed);
  if (own.size() > kMostBytes)
    return absl::InternalError(absl::StrCat("a message of ", own.size(), " bytes to other ranks"));
  const TimePoint end = Clock::now() + options.deadline;
  const Header header{++sequence, static_cast<uint32_t>(own.size())};
  std::vector<std::vector<uint8_t>> messages(peers.size());
  // Small messages fit into the sockets' buffers: nobody has to receive before all have sent.
  for (int rank = 0; rank < ranks(); ++rank) {
    const LocalSocket &socket = peers[static_cast<size_t>(rank)].socket;
    if (!socket.isOpen())
      continue;
    absl::Status status =
        socket.send({reinterpret_cast<const uint8_t *>(&header), sizeof(header)}, end);
    if (status.ok())
      status = socket.send(own, end);
    // One that is gone may have said why: receiving finds out.
    if (absl::IsDeadlineExceeded(status))
      return lost(rank, status, where);
  }
  for (int rank = 0; rank < ranks(); ++rank) {
    if (rank == options.rank) {
      messages[static_cast<size_t>(rank)].assign(own.begin(), own.end());
      continue;
    }
    absl::StatusOr<std::vector<uint8_t>> message = next(peers[static_cast<size_t>(rank)], end);
    if (!message.ok())
      return lost(rank, message.status(), where);
    messages[static_cast<size_t>(rank)] = *std::move(message);
  }
  return messages;
}

/// The next message. Errors: as for LocalSocket; Aborted when the other has given up.
absl::StatusOr<ProcessGroup::Message> ProcessGroup::receive(const LocalSocket &socket,
                                                            TimePoint end) {
  Header header{};
  EPIGRAPH_RETURN_IF_ERROR(
      socket.receive({reinterpret_cast<uint8_t *>(&header), sizeof(header)}, end));
  if (header.bytes > kMostBytes)
    return absl::InternalError("a message that is too long");
  Message message{header.sequence, std::vector<uint8_t>(header.bytes)};
  EPIGRAPH_RETURN_IF_ERROR(socket.receive(absl::MakeSpan(message.bytes), end));
  if (header.sequence != kAbort)
    return message;
  return absl::AbortedError(absl::string_view(reinterpret_cast<const char *>(message.bytes.data()),
                                              message.bytes.size()));
}

/// What `peer` says in this collective.
absl::StatusOr<std::vector<uint8_t>> ProcessGroup::next(Peer &peer, TimePoint end) const {
  if (peer.early.empty()) {
    EPIGRAPH_ASSIGN_OR_RETURN(Message message, receive(peer.socket, end));
    peer.early.push_back(std::move(message));
  }
  Message message = std::move(peer.early.front());
  peer.early.pop_front();
  if (message.sequence != sequence)
    return absl::InternalError(
        absl::StrCat("it is at exchange ", message.sequence, ", and this rank at ", sequence));
  return std::move(message.bytes);
}

absl::StatusOr<uint64_t> ProcessGroup::agreeOn(uint64_t number, std::string_view where) {
  EPIGRAPH_ASSIGN_OR_RETURN(
      const std::vector<std::vector<uint8_t>> all,
      allGather({reinterpret_cast<const uint8_t *>(&number), sizeof(number)}, where));
  if (all.front().size() != sizeof(number))
    return absl::InternalError("the message of the first rank is not a number; report this");
  std::memcpy(&number, all.front().data(), sizeof(number));
  return number;
}

absl::Status ProcessGroup::check() {
  const TimePoint end = Clock::now() + options.deadline;
  for (int rank = 0; rank < ranks() && failed.ok(); ++rank) {
    Peer &peer = peers[static_cast<size_t>(rank)];
    if (!peer.socket.isOpen())
      continue;
    const absl::Status status = drain(peer, end);
    // One that ended after its part of what this rank has yet to do is not missed yet.
    if (!status.ok() && (peer.early.empty() || !absl::IsUnavailable(status)))
      return lost(rank, status, "while running");
  }
  return failed;
}

/// Takes in what has come from `peer`.
absl::Status ProcessGroup::drain(Peer &peer, TimePoint end) {
  for (;;) {
    uint8_t header[sizeof(Header)];
    EPIGRAPH_ASSIGN_OR_RETURN(const bool isThere, peer.socket.peek(header));
    if (!isThere)
      return absl::OkStatus();
    EPIGRAPH_ASSIGN_OR_RETURN(Message message, receive(peer.socket, end));
    peer.early.push_back(std::move(message));
  }
}

/// Remembers, and tells the others, that `rank` is lost.
absl::Status ProcessGroup::lost(int rank, const absl::Status &status, std::string_view where) {
  const std::string context = absl::StrCat("rank ", options.rank, ": ", abslView(where), ": rank ");
  if (absl::IsAborted(status))
    failed = absl::AbortedError(absl::StrCat(context, rank, " gave up: ", status.message()));
  else if (absl::IsUnavailable(status))
    failed = absl::AbortedError(absl::StrCat(context, rank, " has ended"));
  else
    failed = absl::Status(status.code(), absl::StrCat(context, rank, ": ", status.message()));
  failed = withCode(absl::IsDeadlineExceeded(status) ? ErrorCode::Deadline : ErrorCode::RankLost,
                    failed);
  abort(failed);
  return failed;
}

void ProcessGroup::abort(const absl::Status &reason) {
  if (aborted)
    return;
  aborted = true;
  const std::string words(reason.message().substr(0, kMostBytes));
  const Header header{kAbort, static_cast<uint32_t>(words.size())};
  const TimePoint soon = Clock::now() + std::chrono::seconds(1);
  for (const Peer &peer : peers) {
    const LocalSocket &socket = peer.socket;
    if (!socket.isOpen())
      continue;
    // Whoever is gone need not be told.
    if (socket.send({reinterpret_cast<const uint8_t *>(&header), sizeof(header)}, soon).ok())
      static_cast<void>(socket.send(bytesOf(words), soon));
  }
}

} // namespace epigraph
