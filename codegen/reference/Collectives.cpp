#include "codegen/reference/Collectives.h"

#include <cstring>

#include "codegen/reference/Structure.h"
#include "runtime/base/Status.h"

namespace epigraph::reference {
namespace {

absl::Span<const uint8_t> bytesOf(const Tensor &x) {
  const void *data = x.isInt() ? static_cast<const void *>(x.intData()) : x.data();
  return {static_cast<const uint8_t *>(data), static_cast<size_t>(x.elements()) * sizeof(float)};
}

uint8_t *mutableBytes(Tensor &x) {
  return x.isInt() ? reinterpret_cast<uint8_t *>(x.intData())
                   : reinterpret_cast<uint8_t *>(x.data());
}

/// Offers `x` and `counts`, calls `read` while all ranks' offers stand, and leaves with its status.
/// NOTE: also a rank whose `read` failed waits for the others, which may still read what it offers.
template <typename Read>
absl::Status exchange(const Member &member, const char *operation, const Tensor &x,
                      const Tensor &counts, const Read &read) {
  LocalOffer offer{operation,
                   bytesOf(x),
                   {counts.intData(), static_cast<size_t>(counts.isInt() ? counts.rows() : 0)}};
  EPIGRAPH_RETURN_IF_ERROR(member.group.meet(member.rank, offer, member.where));
  absl::Status status = read();
  absl::Status left = member.group.part(member.rank, member.where);
  return status.ok() ? left : status;
}

Tensor likeRows(const Tensor &x, int64_t rows) {
  Shape shape = x.shape();
  shape.front() = rows;
  return x.isInt() ? Tensor::ints(std::move(shape)) : Tensor::floats(std::move(shape));
}

/// How many rows each rank sends to each expert, and where they are.
class Traffic {
public:
  explicit Traffic(const Member &member) : member(member) {}

  int64_t experts() const { return static_cast<int64_t>(countsOf(0).size()); }
  int64_t local() const { return experts() / member.ranks(); }
  int owner(int64_t expert) const { return static_cast<int>(expert / local()); }

  /// Rows that `source` sends to `expert`.
  int64_t count(int source, int64_t expert) const {
    return countsOf(source)[static_cast<size_t>(expert)];
  }
  /// Index of the first of them among all that `source` sends.
  int64_t sentOffset(int source, int64_t expert) const {
    int64_t offset = 0;
    for (int64_t e = 0; e < expert; ++e)
      offset += count(source, e);
    return offset;
  }
  /// Rows for `expert` from all ranks before `source`.
  int64_t before(int source, int64_t expert) const {
    int64_t rows = 0;
    for (int rank = 0; rank < source; ++rank)
      rows += count(rank, expert);
    return rows;
  }
  /// Index of the first row for (`expert`, `source`) among all that the expert's owner receives.
  int64_t receivedOffset(int source, int64_t expert) const {
    int64_t offset = before(source, expert);
    for (int64_t e = owner(expert) * local(); e < expert; ++e)
      offset += before(member.ranks(), e);
    return offset;
  }

  /// Every rank's counts must be of the same experts and add up to the rows it offers, or to what
  /// it received (`returning`).
  absl::Status check(size_t rowBytes, bool returning) const {
    for (int rank = 0; rank < member.ranks(); ++rank) {
      if (countsOf(rank).size() != countsOf(0).size() || experts() % member.ranks() != 0)
        return absl::InternalError(absl::StrCat("rank ", rank, " counts ", countsOf(rank).size(),
                                                " experts, rank 0 ", experts()));
      int64_t expected = 0;
      for (int64_t e = 0; e < experts(); ++e)
        if (!returning)
          expected += count(rank, e);
        else if (owner(e) == rank)
          expected += before(member.ranks(), e);
      size_t offered = member.group.offerOf(rank).rows.size() / rowBytes;
      if (static_cast<size_t>(expected) != offered)
        return absl::InternalError(
            absl::StrCat("rank ", rank, " offers ", offered, " rows, its counts say ", expected));
    }
    return absl::OkStatus();
  }

private:
  absl::Span<const int32_t> countsOf(int rank) const { return member.group.offerOf(rank).counts; }

  const Member &member;
};

} // namespace

Tensor shardRows(const Tensor &x, int rank, int ranks) {
  return sliceRows(x, x.rows() * rank / ranks, x.rows() * (rank + 1) / ranks);
}

absl::StatusOr<Tensor> allGather(const Tensor &x, const Member &member) {
  Tensor result;
  EPIGRAPH_RETURN_IF_ERROR(exchange(member, "all_gather", x, Tensor(), [&] {
    size_t bytes = 0, rowBytes = static_cast<size_t>(x.rowElements()) * sizeof(float);
    for (int rank = 0; rank < member.ranks(); ++rank)
      bytes += member.group.offerOf(rank).rows.size();
    result = likeRows(x, static_cast<int64_t>(bytes / rowBytes));
    uint8_t *to = mutableBytes(result);
    for (int rank = 0; rank < member.ranks(); ++rank) {
      absl::Span<const uint8_t> rows = member.group.offerOf(rank).rows;
      if (!rows.empty())
        std::memcpy(to, rows.data(), rows.size());
      to += rows.size();
    }
    return absl::OkStatus();
  }));
  return result;
}

absl::StatusOr<Tensor> allReduce(const Tensor &x, const Member &member) {
  Tensor result = Tensor::floats(x.shape());
  EPIGRAPH_RETURN_IF_ERROR(exchange(member, "all_reduce", x, Tensor(), [&]() -> absl::Status {
    for (int rank = 0; rank < member.ranks(); ++rank) {
      absl::Span<const uint8_t> rows = member.group.offerOf(rank).rows;
      if (rows.size() != bytesOf(x).size())
        return absl::InternalError(absl::StrCat("rank ", rank, " offers ", rows.size(),
                                                " bytes, rank ", member.rank, " ",
                                                bytesOf(x).size()));
      const float *values = reinterpret_cast<const float *>(rows.data());
      for (int64_t i = 0; i < result.elements(); ++i)
        result.data()[i] += values[i];
    }
    return absl::OkStatus();
  }));
  return result;
}

absl::StatusOr<Tensor> reduceScatter(const Tensor &x, const Member &member) {
  EPIGRAPH_ASSIGN_OR_RETURN(Tensor sum, allReduce(x, member));
  return shardRows(sum, member.rank, member.ranks());
}

absl::StatusOr<Tensor> gatherColumns(const Tensor &x, const Member &member) {
  const int64_t columns = x.rowElements();
  Tensor result = x.isInt() ? Tensor::ints({x.rows(), columns * member.ranks()})
                            : Tensor::floats({x.rows(), columns * member.ranks()});
  EPIGRAPH_RETURN_IF_ERROR(exchange(member, "gather_columns", x, Tensor(), [&]() -> absl::Status {
    const size_t bytes = static_cast<size_t>(columns) * sizeof(float);
    for (int rank = 0; rank < member.ranks(); ++rank) {
      absl::Span<const uint8_t> offered = member.group.offerOf(rank).rows;
      if (offered.size() != bytesOf(x).size())
        return absl::InternalError(absl::StrCat("rank ", rank, " offers ", offered.size(),
                                                " bytes, rank ", member.rank, " ",
                                                bytesOf(x).size()));
      for (int64_t row = 0; row < x.rows() && bytes != 0; ++row)
        std::memcpy(mutableBytes(result) + static_cast<size_t>(row * member.ranks() + rank) * bytes,
                    offered.data() + static_cast<size_t>(row) * bytes, bytes);
    }
    return absl::OkStatus();
  }));
  return result;
}

Tensor shardColumns(const Tensor &x, int rank, int ranks) {
  return sliceDim(x, 1, x.dim(1) * rank / ranks, x.dim(1) * (rank + 1) / ranks);
}

absl::StatusOr<Scattered> scatterExperts(const Tensor &rows, const Tensor &counts,
                                         const Member &member) {
  Scattered result;
  size_t rowBytes = static_cast<size_t>(rows.rowElements()) * sizeof(float);
  EPIGRAPH_RETURN_IF_ERROR(exchange(member, "scatter_experts", rows, counts, [&] {
    Traffic traffic(member);
    EPIGRAPH_RETURN_IF_ERROR(traffic.check(rowBytes, /*returning=*/false));
    int64_t firstExpert = member.rank * traffic.local();
    result.counts = Tensor::ints({traffic.local()});
    int64_t total = 0;
    for (int64_t e = 0; e < traffic.local(); ++e)
      total += result.counts.intData()[e] =
          static_cast<int32_t>(traffic.before(member.ranks(), firstExpert + e));
    result.rows = likeRows(rows, total);
    for (int64_t e = firstExpert; e < firstExpert + traffic.local(); ++e)
      for (int source = 0; source < member.ranks(); ++source)
        if (int64_t count = traffic.count(source, e))
          std::memcpy(mutableBytes(result.rows) +
                          static_cast<size_t>(traffic.receivedOffset(source, e)) * rowBytes,
                      member.group.offerOf(source).rows.data() +
                          static_cast<size_t>(traffic.sentOffset(source, e)) * rowBytes,
                      static_cast<size_t>(count) * rowBytes);
    return absl::OkStatus();
  }));
  return result;
}

absl::StatusOr<Tensor> gatherExperts(const Tensor &rows, const Tensor &counts,
                                     const Member &member) {
  Tensor result;
  size_t rowBytes = static_cast<size_t>(rows.rowElements()) * sizeof(float);
  EPIGRAPH_RETURN_IF_ERROR(exchange(member, "gather_experts", rows, counts, [&] {
    Traffic traffic(member);
    EPIGRAPH_RETURN_IF_ERROR(traffic.check(rowBytes, /*returning=*/true));
    result = likeRows(rows, traffic.sentOffset(member.rank, traffic.experts()));
    for (int64_t e = 0; e < traffic.experts(); ++e)
      if (int64_t count = traffic.count(member.rank, e))
        std::memcpy(mutableBytes(result) +
                        static_cast<size_t>(traffic.sentOffset(member.rank, e)) * rowBytes,
                    member.group.offerOf(traffic.owner(e)).rows.data() +
                        static_cast<size_t>(traffic.receivedOffset(member.rank, e)) * rowBytes,
                    static_cast<size_t>(count) * rowBytes);
    return absl::OkStatus();
  }));
  return result;
}

} // namespace epigraph::reference
