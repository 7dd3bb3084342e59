// One rank's copy of a step's batch in the memory of a device.
//
// Everything of a step lies in one block, which is made in memory of the host and goes to the
// device in one copy: the DeviceStep, the ids, which kernels take as an argument and which thus
// have a fixed place, and the other arrays behind them, as close as they fit, since a decode step
// with room for a thousand times as many tokens copies only what it has.
#ifndef EPIGRAPH_RUNTIME_EXEC_DEVICESTEPMEMORY_H
#define EPIGRAPH_RUNTIME_EXEC_DEVICESTEPMEMORY_H

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/KernelAbi.h"
#include "runtime/device/Driver.h"
#include "runtime/exec/ItemNeeds.h"
#include "runtime/exec/MeshSeat.h"
#include "runtime/exec/StepMemory.h"

namespace epigraph {

class DeviceStepMemory : public StepMemory {
public:
  struct Options {
    StepLimits limits;
    ItemNeeds items;
    uint64_t logitBytes = 0; ///< of one output row, in the function where they are most
  };

  /// Bytes that it takes of the device.
  static uint64_t bytesFor(const Options &options);

  /// `driver` and `seat` must outlive it.
  static absl::StatusOr<std::unique_ptr<DeviceStepMemory>>
  create(Driver &driver, const Options &options, const MeshSeat &seat);

  /// From now on, steps tell kernels how to reach the other ranks.
  void usePeers(PeerTable *table) { peers = table; }

  uint8_t *ids() const override;
  uint8_t *hidden() const override { return hiddenRows->address(); }
  const void *step() const override { return block->address(); }
  const int32_t *counter(const RowCount &rows) const override;

  void load(const StepBatch &batch, const RankProgram &program) override;
  const StepExtent &extent() const override { return stepExtent; }
  absl::Status send() override;
  absl::Status fetch(const RankProgram &program, bool wantHidden) override;
  void finish(const RankProgram &program) override;
  StepResult result(const RankProgram &program, bool wantHidden) const override;

  /// The extent of all steps of up to `tokens` tokens, one of each sequence, and as many outputs.
  StepExtent extentOfDecode(int64_t tokens) const;

private:
  DeviceStepMemory(Driver &driver, const Options &options, const MeshSeat &seat)
      : driver(driver), options(options), seat(seat) {}

  absl::Status allocate();
  template <typename T> absl::Span<T> append(size_t count, const T *&onDevice);
  const int32_t *appendCopy(absl::Span<const int32_t> values);
  void addItems(const StepBatch &batch, DeviceStep &step);
  void count(int64_t tokens, int64_t outputs, int32_t *counts) const;

  Driver &driver;
  const Options options;
  const MeshSeat &seat;
  PeerTable *peers = nullptr;
  StepExtent stepExtent;
  size_t used = 0; ///< bytes of the block in this step

  std::unique_ptr<DeviceMemory> block, stagedBlock;
  std::unique_ptr<DeviceMemory> hiddenRows, stagedHiddenRows; ///< of the input "hidden"
  size_t hiddenBytes = 0;                                     ///< of the input, in this step
  std::unique_ptr<DeviceMemory> stagedLogits, stagedChosen, stagedHidden; ///< results
  bool onlyChosen = false; ///< in place of logits, in this step
  std::vector<float> convertedLogits;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_EXEC_DEVICESTEPMEMORY_H
