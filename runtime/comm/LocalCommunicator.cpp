// Starting: check what this rank offers, and post it. Finishing: meet, pull, part. A rank that
// finds a fault between meeting and parting aborts the group, so that the others' parting fails at
// once.
#include "runtime/comm/LocalCommunicator.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/comm/RowSums.h"

namespace epigraph {

static_assert(Communicator::kMostUnderWay <= LocalGroup::kMostUnderWay);

LocalCommunicator::LocalCommunicator(LocalGroup &group, int rank)
    : group(group), self(rank), offsets(static_cast<size_t>(group.size())),
      sources(static_cast<size_t>(group.size())) {
  started.reserve(kMostUnderWay);
}

absl::Status LocalCommunicator::fail(const char *operation, std::string_view where,
                                     const absl::Status &cause) {
  std::string context = absl::StrCat("rank ", group.nameOf(self), ": ", operation);
  if (!where.empty())
    absl::StrAppend(&context, " (", abslView(where), ")");
  const absl::Status status = withContext(cause, context);
  abort(status);
  return status;
}

/// What the other ranks may read of `collective`, and what it is called.
static LocalOffer offerOf(const Collective &collective) {
  if (const auto *gather = std::get_if<AllGather>(&collective))
    return LocalOffer{"all_gather", gather->source, {}};
  if (const auto *reduce = std::get_if<AllReduce>(&collective))
    return LocalOffer{"all_reduce", reduce->source, {}};
  if (const auto *scatter = std::get_if<ReduceScatter>(&collective))
    return LocalOffer{"reduce_scatter", scatter->source, {}};
  if (const auto *scatter = std::get_if<ScatterExperts>(&collective))
    return LocalOffer{"scatter_experts", scatter->exchange.rows, scatter->exchange.counts};
  if (const auto *gather = std::get_if<GatherExperts>(&collective))
    return LocalOffer{"gather_experts", gather->exchange.rows, gather->exchange.counts};
  if (const auto *gather = std::get_if<GatherColumns>(&collective))
    return LocalOffer{"gather_columns", gather->source, {}};
  return LocalOffer{"barrier", {}, {}};
}

/// The numbers of `collective` that this rank alone is to blame for.
absl::Status LocalCommunicator::check(const Collective &collective) const {
  if (const auto *scatter = std::get_if<ScatterExperts>(&collective))
    return checkOwnOffer(scatter->exchange, static_cast<int64_t>(scatter->exchange.rows.size()));
  if (const auto *gather = std::get_if<GatherExperts>(&collective))
    return checkOwnOffer(gather->exchange, static_cast<int64_t>(gather->exchange.result.size()));
  return absl::OkStatus();
}

absl::Status LocalCommunicator::start(const Collective &collective, std::string_view where) {
  const LocalOffer offer = offerOf(collective);
  if (absl::Status status = check(collective); !status.ok())
    return fail(offer.operation, where, status);
  if (started.size() == kMostUnderWay)
    return fail(offer.operation, where,
                absl::InternalError(
                    absl::StrCat(kMostUnderWay, " operations are under way already; report this")));
  started.push_back({collective, where, group.post(self, offer)});
  return absl::OkStatus();
}

absl::Status LocalCommunicator::finishOldest() {
  if (started.empty())
    return absl::InternalError(absl::StrCat("rank ", group.nameOf(self),
                                            ": waits, and nothing is under way; report this"));
  const auto [collective, where, number] = started.front();
  started.erase(started.begin());
  EPIGRAPH_RETURN_IF_ERROR(group.meet(self, number, where));
  const absl::Status pulled =
      std::visit([&, number = number](const auto &what) { return pull(what, number); }, collective);
  if (!pulled.ok())
    return fail(group.offerOf(self, number).operation, where, pulled);
  return group.part(self, number, where);
}

void LocalCommunicator::abort(const absl::Status &cause) {
  started.clear();
  group.abort(group.nameOf(self), cause);
}

absl::Status LocalCommunicator::pull(const AllGather &gather, uint64_t number) {
  size_t total = 0;
  for (int rank = 0; rank < size(); ++rank)
    total += group.offerOf(rank, number).rows.size();
  if (total != gather.result.size())
    return absl::InternalError(absl::StrCat("the ranks offer ", total,
                                            " bytes, and the result has ", gather.result.size(),
                                            "; report this"));
  uint8_t *to = gather.result.data();
  for (int rank = 0; rank < size(); ++rank) {
    const absl::Span<const uint8_t> rows = group.offerOf(rank, number).rows;
    to = std::copy(rows.begin(), rows.end(), to);
  }
  return absl::OkStatus();
}

absl::Status LocalCommunicator::pull(const AllReduce &reduce, uint64_t number) {
  return sum(reduce.type, reduce.source, 0, reduce.result, number);
}

absl::Status LocalCommunicator::pull(const ReduceScatter &scatter, uint64_t number) {
  const RowShare share = shareOf(scatter.rows, self, size());
  const size_t bytes = static_cast<size_t>(share.end - share.begin) * scatter.rowBytes;
  return sum(scatter.type, scatter.source, static_cast<size_t>(share.begin) * scatter.rowBytes,
             scatter.result.subspan(0, std::min(bytes, scatter.result.size())), number);
}

absl::Status LocalCommunicator::pull(const GatherColumns &gather, uint64_t number) {
  const size_t ranks = sources.size(), resultRow = gather.rowBytes * ranks;
  for (int rank = 0; rank < size(); ++rank) {
    const absl::Span<const uint8_t> offered = group.offerOf(rank, number).rows;
    if (offered.size() != gather.source.size() || offered.size() * ranks != gather.result.size())
      return absl::InternalError(absl::StrCat(
          "rank ", group.nameOf(rank), " offers ", offered.size(), " bytes, this rank ",
          gather.source.size(), " for a result of ", gather.result.size(), "; report this"));
    uint8_t *to = gather.result.data() + static_cast<size_t>(rank) * gather.rowBytes;
    for (size_t from = 0; from < offered.size(); from += gather.rowBytes, to += resultRow)
      std::memcpy(to, offered.data() + from, gather.rowBytes);
  }
  return absl::OkStatus();
}

/// result = sum over ranks of what their sources hold from byte `skipped` on.
absl::Status LocalCommunicator::sum(SumType type, absl::Span<const uint8_t> source, size_t skipped,
                                    absl::Span<uint8_t> result, uint64_t number) {
  for (int rank = 0; rank < size(); ++rank) {
    const absl::Span<const uint8_t> offered = group.offerOf(rank, number).rows;
    if (offered.size() != source.size() || offered.size() < skipped + result.size())
      return absl::InternalError(absl::StrCat("rank ", group.nameOf(rank), " offers ",
                                              offered.size(), " bytes, this rank ", source.size(),
                                              " for a result of ", result.size(), " from byte ",
                                              skipped, "; report this"));
    sources[static_cast<size_t>(rank)] = offered.data() + skipped;
  }
  sumInOrder(type, sources, result);
  return absl::OkStatus();
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
absl::Status LocalCommunicator::checkCounts(const ExpertExchange &exchange, uint64_t number) const {
  for (int rank = 0; rank < size(); ++rank)
    if (group.offerOf(rank, number).counts.size() != exchange.counts.size())
      return absl::InternalError(absl::StrCat(
          "rank ", group.nameOf(rank), " counts ", group.offerOf(rank, number).counts.size(),
          " experts, this rank ", exchange.counts.size(), "; report this"));
  return absl::OkStatus();
}

absl::Status LocalCommunicator::pull(const ScatterExperts &scatter, uint64_t number) {
  const ExpertExchange &exchange = scatter.exchange;
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(exchange, number));
  const int64_t capacity = static_cast<int64_t>(exchange.result.size() / exchange.rowBytes);
  int64_t total = 0;
  for (size_t expert = 0; expert < exchange.owner.size(); ++expert)
    if (exchange.owner[expert] == self)
      for (int rank = 0; rank < size(); ++rank)
        total += group.offerOf(rank, number).counts[expert];
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
      const LocalOffer &offer = group.offerOf(rank, number);
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
    if (local == scatter.resultCounts.size())
      return absl::InternalError(absl::StrCat("this rank holds more experts than the ", local,
                                              " whose counts have room; report this"));
    scatter.resultCounts[local++] = arrived;
  }
  *scatter.received = total;
  return absl::OkStatus();
}

absl::Status LocalCommunicator::pull(const GatherExperts &gather, uint64_t number) {
  const ExpertExchange &exchange = gather.exchange;
  EPIGRAPH_RETURN_IF_ERROR(checkCounts(exchange, number));
  // offsets[o]: where the rows of the expert at hand begin among those of its owner o.
  std::fill(offsets.begin(), offsets.end(), 0);
  uint8_t *to = exchange.result.data();
  for (size_t expert = 0; expert < exchange.owner.size(); ++expert) {
    const int owner = exchange.owner[expert];
    const absl::Span<const uint8_t> rows = group.offerOf(owner, number).rows;
    int64_t &offset = offsets[static_cast<size_t>(owner)];
    for (int rank = 0; rank < size(); ++rank) {
      const int32_t count = group.offerOf(rank, number).counts[expert];
      if (rank == self && count > 0) {
        const size_t begin = static_cast<size_t>(offset) * exchange.rowBytes;
        const size_t bytes = static_cast<size_t>(count) * exchange.rowBytes;
        if (begin + bytes > rows.size())
          return absl::InternalError(
              absl::StrCat("rank ", group.nameOf(owner), " offers ", rows.size(),
                           " bytes of results, and this rank's lie at ", begin, "; report this"));
        std::memcpy(to, rows.data() + begin, bytes);
        to += bytes;
      }
      offset += count;
    }
  }
  return absl::OkStatus();
}

} // namespace epigraph
