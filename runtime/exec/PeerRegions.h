// Regions of memory through which the device kernels of all ranks of a job exchange rows; see
// PeerTable.h.
#ifndef EPIGRAPH_RUNTIME_EXEC_PEERREGIONS_H
#define EPIGRAPH_RUNTIME_EXEC_PEERREGIONS_H

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/PeerTable.h"
#include "runtime/comm/ProcessGroup.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/PeerMemory.h"

namespace epigraph {

class PeerRegions {
public:
  /// Bytes of this rank's device for a region of `bytes`, if it is the device's.
  static uint64_t bytesFor(uint64_t bytes);

  /// Makes this rank's region, of as many bytes on all ranks, and reaches those of the others. All
  /// ranks of `group` call it together. Kernels wait for a rank for `patience` at most. Driver and
  /// group must outlive it. Errors: as for Driver and ProcessGroup; Unimplemented for more ranks
  /// than kMostPeers.
  static absl::StatusOr<std::unique_ptr<PeerRegions>> create(Driver &driver, ProcessGroup &group,
                                                             uint64_t bytes,
                                                             std::chrono::milliseconds patience,
                                                             PeerMemory memory = PeerMemory::Auto);

  /// Address on the device, for DeviceStep::peers.
  PeerTable *table() const { return reinterpret_cast<PeerTable *>(tableMemory->address()); }

  /// Whether kernels have had what they waited for; to be asked when their work is done. Errors:
  /// Aborted when a rank has ended or given up; DeadlineExceeded when one has been waited for in
  /// vain, naming it. From then on the regions cannot be used any more.
  absl::Status check() const;

private:
  PeerRegions(Driver &driver, ProcessGroup &group, std::chrono::milliseconds patience)
      : driver(driver), group(group), patience(patience) {}
  absl::Status connect(uint64_t planned, PeerMemory memory);
  absl::Status share(uint64_t bytes, const std::vector<uint8_t> &exported);
  absl::StatusOr<bool> shareDevices(uint64_t bytes, const std::string &purpose, bool mayFail);
  absl::Status shareHosts(uint64_t bytes, const std::string &purpose);
  absl::Status writeTable();

  Driver &driver;
  ProcessGroup &group;
  const std::chrono::milliseconds patience;
  std::unique_ptr<DeviceMemory> region;
  std::vector<std::unique_ptr<DeviceMemory>> others; ///< by rank; null for this one's own
  std::unique_ptr<DeviceMemory> tableMemory;
  std::unique_ptr<DeviceMemory> failure; ///< the host's: a word that kernels write
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_PEERREGIONS_H
