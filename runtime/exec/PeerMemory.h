// Through whose memory the ranks of a job exchange rows.
#ifndef EPIGRAPH_RUNTIME_EXEC_PEERMEMORY_H
#define EPIGRAPH_RUNTIME_EXEC_PEERMEMORY_H

namespace epigraph {

enum class PeerMemory {
  Auto,   ///< the devices', if all of them reach each other's; else the host's
  Device, ///< each device's own
  Host,   ///< the host's, which every device reaches, though not as fast
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_PEERMEMORY_H
