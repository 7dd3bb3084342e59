// Every operation: check what this rank offers, meet, pull, part. A rank that finds a fault between
// meeting and parting aborts the group, so that the others' parting fails at once.
#include "runtime/comm/LocalCommunicator.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/comm/RowSums.h"

namespace epigraph {

LocalCommunicator::LocalCommunicator(LocalGroup &group, int rank)
    : group(group), self(rank), offsets(static_cast<size_t>(group.size())),
      sources(static_cast<size_t>(group.size())) {}

absl::Status LocalCommunicator::fail(const char *operation, std::string_view where,
                                     const absl::Status &cause) {
  std::string context = absl::StrCat("rank ", self, ": ", operation);
  if (!where.empty())
    absl::StrAppend(&context, " (", abslView(where), ")");
  const absl::Status status = withContext(cause, context);
  group.abort(self, status);
  return status;
}

absl::Status LocalCommunicator::barrier(std::string_view where) {
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, {"barrier", {}, {}}, where));
  return group.part(self, where);
}

absl::Status LocalCommunicator::allGather(absl::Span<const uint8_t> source,
                                          absl::Span<uint8_t> result, std::string_view where) {
  static constexpr char operation[] = "all_gather";
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, {operation, source, {}}, where));
  if (absl::Status status = pullRows(result); !status.ok())
    return fail(operation, where, status);
  return group.part(self, where);
}

absl::Status LocalCommunicator::pullRows(absl::Span<uint8_t> result) {
  size_t total = 0;
  for (int rank = 0; rank < size(); ++rank)
    total += group.offerOf(rank).rows.size();
  if (total != result.size())
    return absl::InternalError(absl::StrCat(
        "the ranks offer ", total, " bytes, and the result has ", result.size(), "; report this"));
  uint8_t *to = result.data();
  for (int rank = 0; rank < size(); ++rank) {
    const absl::Span<const uint8_t> rows = group.offerOf(rank).rows;
    to = std::copy(rows.begin(), rows.end(), to);
  }
  return absl::OkStatus();
}

absl::Status LocalCommunicator::allReduce(SumType type, absl::Span<const uint8_t> source,
                                          absl::Span<uint8_t> result, std::string_view where) {
  return sum("all_reduce", type, source, 0, result, where);
}

absl::Status LocalCommunicator::reduceScatter(SumType type, absl::Span<const uint8_t> source,
                                              int64_t rows, size_t rowBytes,
                                              absl::Span<uint8_t> result, std::string_view where) {
  const RowShare share = shareOf(rows, self, size());
  const size_t bytes = static_cast<size_t>(share.end - share.begin) * rowBytes;
  const absl::Span<uint8_t> shareOfResult = result.subspan(0, std::min(bytes, result.size()));
  return sum("reduce_scatter", type, source, static_cast<size_t>(share.begin) * rowBytes,
             shareOfResult, where);
}

/// result = sum over ranks of what their sources hold from byte `skipped` on.
absl::Status LocalCommunicator::sum(const char *operation, SumType type,
                                    absl::Span<const uint8_t> source, size_t skipped,
                                    absl::Span<uint8_t> result, std::string_view where) {
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, {operation, source, {}}, where));
  for (int rank = 0; rank < size(); ++rank) {
    const absl::Span<const uint8_t> offered = group.offerOf(rank).rows;
    if (offered.size() != source.size() || offered.size() < skipped + result.size())
      return fail(operation, where,
                  absl::InternalError(absl::StrCat("rank ", rank, " offers ", offered.size(),
                                                   " bytes, this rank ", source.size(),
                                                   " for a result of ", result.size(),
                                                   " from byte ", skipped, "; report this")));
    sources[static_cast<size_t>(rank)] = offered.data() + skipped;
  }
  sumInOrder(type, sources, result);
  return group.part(self, where);
}

absl::StatusOr<int64_t> LocalCommunicator::scatterExperts(const ExpertExchange &exchange,
                                                          absl::Span<int32_t> resultCounts,
                                                          std::string_view where) {
  static constexpr char operation[] = "scatter_experts";
  if (absl::Status status = checkOwnOffer(exchange, static_cast<int64_t>(exchange.rows.size()));
      !status.ok())
    return fail(operation, where, status);
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, {operation, exchange.rows, exchange.counts}, where));
  absl::StatusOr<int64_t> received = pullForExperts(exchange, resultCounts);
  if (!received.ok())
    return fail(operation, where, received.status());
  EPIGRAPH_RETURN_IF_ERROR(group.part(self, where));
  return received;
}

absl::Status LocalCommunicator::gatherExperts(const ExpertExchange &exchange,
                                              std::string_view where) {
  static constexpr char operation[] = "gather_experts";
  if (absl::Status status = checkOwnOffer(exchange, static_cast<int64_t>(exchange.result.size()));
      !status.ok())
    return fail(operation, where, status);
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, {operation, exchange.rows, exchange.counts}, where));
  if (absl::Status status = pullFromOwners(exchange); !status.ok())
    return fail(operation, where, status);
  return group.part(self, where);
}

/// The rows that this rank counts must fit the `capacity` bytes on its own side of the exchange.
/// Counts come from a kernel: a wrong one must not become a wrong address.
absl::Status LocalCommunicator::checkOwnOffer(const ExpertExchange &exchange,
                                              int64_t capacity) const {
  if (exchange.counts.size() != exchange.owner.size())
    return absl::InternalError(absl::StrCat("counts for ", exchange.counts.size(), " experts, and ",
                                            exchange.owner.size(), " are placed; report this"));
  int64_t total = 0;
  for (const int32_t count : exchange.counts) {
    if (count < 0)
      return absl::InternalError(
          absl::StrCat("an expert is sent ", count, " rows; the kernel that counts is wrong"));
    total += count;
  }
  if (total * static_cast<int64_t>(exchange.rowBytes) > capacity)
    return absl::InternalError(absl::StrCat(
        "the experts are sent ", total, " rows of ", exchange.rowBytes, " bytes, more than the ",
        capacity, " bytes that hold them; the kernel that counts is wrong"));
  return absl::OkStatus();
}

/// Every rank must count the same experts.
absl::Status LocalCommunicator::checkCounts(const ExpertExchange &exchange) const {
  for (int rank = 0; rank < size(); ++rank)
    if (group.offerOf(rank).counts.size() != exchange.counts.size())
      return absl::InternalError(
          absl::StrCat("rank ", rank, " counts ", group.offerOf(rank).counts.size(),
                       " experts, this rank ", exchange.counts.size(), "; report this"));
  return absl::OkStatus();
}

absl::StatusOr<int64_t> LocalCommunicator::pullForExperts(const ExpertExchange &exchange,
                                                          absl::Span<int32_t> resultCounts) {
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(exchange));
  const int64_t capacity = static_cast<int64_t>(exchange.result.size() / exchange.rowBytes);
  int64_t total = 0;
  for (size_t expert = 0; expert < exchange.owner.size(); ++expert)
    if (exchange.owner[expert] == self)
      for (int rank = 0; rank < size(); ++rank)
        total += group.offerOf(rank).counts[expert];
  if (total > capacity)
    return absl::ResourceExhaustedError(absl::StrCat(
        total, " rows arrive for this rank's experts, and there is room for ", capacity,
        "; use smaller batches, or compile the model again with a larger --max-batch-tokens"));

  // offsets[s]: where the rows of source s for the expert at hand begin.
  std::fill(offsets.begin(), offsets.end(), 0);
  uint8_t *to = exchange.result.data();
  size_t local = 0;
  for (size_t expert = 0; expert < exchange.owner.size(); ++expert) {
    const bool mine = exchange.owner[expert] == self;
    int32_t arrived = 0;
    for (int rank = 0; rank < size(); ++rank) {
      const LocalOffer &offer = group.offerOf(rank);
      const int32_t count = offer.counts[expert];
      int64_t &offset = offsets[static_cast<size_t>(rank)];
      if (mine && count > 0) {
        const size_t bytes = static_cast<size_t>(count) * exchange.rowBytes;
        std::memcpy(to, offer.rows.data() + static_cast<size_t>(offset) * exchange.rowBytes, bytes);
        to += bytes;
        arrived += count;
      }
      offset += count;
    }
    if (!mine)
      continue;
    if (local == resultCounts.size())
      return absl::InternalError(absl::StrCat("this rank holds more experts than the ", local,
                                              " whose counts have room; report this"));
    resultCounts[local++] = arrived;
  }
  return total;
}

absl::Status LocalCommunicator::pullFromOwners(const ExpertExchange &exchange) {
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(exchange));
  // offsets[o]: where the rows of the expert at hand begin among those of its owner o.
  std::fill(offsets.begin(), offsets.end(), 0);
  uint8_t *to = exchange.result.data();
  for (size_t expert = 0; expert < exchange.owner.size(); ++expert) {
    const int owner = exchange.owner[expert];
    const absl::Span<const uint8_t> rows = group.offerOf(owner).rows;
    int64_t &offset = offsets[static_cast<size_t>(owner)];
    for (int rank = 0; rank < size(); ++rank) {
      const int32_t count = group.offerOf(rank).counts[expert];
      if (rank == self && count > 0) {
        const size_t begin = static_cast<size_t>(offset) * exchange.rowBytes;
        const size_t bytes = static_cast<size_t>(count) * exchange.rowBytes;
        if (begin + bytes > rows.size())
          return absl::InternalError(absl::StrCat("rank ", owner, " offers ", rows.size(),
                                                  " bytes of results, and this rank's lie at ",
                                                  begin, "; report this"));
        std::memcpy(to, rows.data() + begin, bytes);
        to += bytes;
      }
      offset += count;
    }
  }
  return absl::OkStatus();
}

} // namespace epigraph
