// Sums of rows over ranks, always in rank order: every rank computes the same bits.
#ifndef EPIGRAPH_RUNTIME_COMM_ROWSUMS_H
#define EPIGRAPH_RUNTIME_COMM_ROWSUMS_H

#include <cstddef>

#include "absl/types/span.h"
#include "runtime/comm/Communicator.h"

namespace epigraph {

/// Bytes of one number.
inline size_t bytesOf(SumType type) { return type == SumType::Float32 ? 4 : 2; }

/// result[i] = sources[0][i] + sources[1][i] + ... over the numbers of `result`; every source has
/// at least as many. `result` overlaps no source.
void sumInOrder(SumType type, absl::Span<const uint8_t *const> sources, absl::Span<uint8_t> result);

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_COMM_ROWSUMS_H
