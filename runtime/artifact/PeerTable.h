// What device kernels need to reach the memory of other ranks. Each rank has an exchange region, of
// the same layout on all of them, which the others write into; codegen/cuda/ExchangeLayout.h lays
// it out, and nothing but kernels reads it. A region is zero when a process starts, and never
// cleared: each exchange has a number, its epoch, that marks what belongs to it.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_PEERTABLE_H
#define EPIGRAPH_RUNTIME_ARTIFACT_PEERTABLE_H

#include <cstddef>
#include <cstdint>

namespace epigraph {

/// Ranks that exchange rows through each other's memory, at most.
inline constexpr int32_t kMostPeers = 8;

/// In the memory of each rank's device.
struct PeerTable {
  int32_t rank;                 ///< this one's number among the peers
  int32_t ranks;                ///< as many as kernels were compiled for
  int64_t patience;             ///< clock cycles that a kernel waits for another rank, at most
  uint8_t *regions[kMostPeers]; ///< each rank's region, as this one reaches it
  uint32_t *failure; ///< in memory of the host: the first PeerFailure, 0 as long as all is well
  uint32_t finished; ///< exchanges that have finished
  uint32_t current;  ///< the number of the exchange whose dispatch came last
};

static_assert(offsetof(PeerTable, regions) == 16 && offsetof(PeerTable, failure) == 80 &&
              sizeof(PeerTable) == 96);

/// What a kernel was waiting for when its patience ended.
enum class PeerWait : uint32_t {
  Header = 1, ///< how many tokens a rank sends
  Ids = 2,    ///< the experts of a token
  Row = 3,    ///< the row of a token
  Sum = 4,    ///< what a rank's experts made of a token
  Peer = 7,   ///< nothing: that rank has given up
};

/// A failed wait in one word, which is never 0: for what, of which peer, for which token.
constexpr uint32_t peerFailure(PeerWait wait, uint32_t peer, uint32_t token) {
  return static_cast<uint32_t>(wait) << 28 | peer << 20 | (token & 0xFFFFF);
}
constexpr PeerWait waitOf(uint32_t failure) { return static_cast<PeerWait>(failure >> 28); }
constexpr uint32_t peerOf(uint32_t failure) { return failure >> 20 & 0xFF; }
constexpr uint32_t tokenOf(uint32_t failure) { return failure & 0xFFFFF; }

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_ARTIFACT_PEERTABLE_H
