// Copies weights to a GPU at the speed of the bus, whatever memory they lie in: mapped files above
// all, which the GPU cannot read by itself.
//
// A few threads copy a piece into one of two pinned buffers, and fault in the file's pages as they
// go, while the GPU copies the piece before it out of the other.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDAUPLOAD_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDAUPLOAD_H

#include <memory>

#include "runtime/device/CudaMemory.h"
#include "runtime/device/ThreadPool.h"

namespace epigraph {

class CudaUpload {
public:
  /// Copies go into `stream`, which must outlive it.
  static absl::StatusOr<std::unique_ptr<CudaUpload>> create(std::shared_ptr<CudaContext> context,
                                                            CUstream stream);
  ~CudaUpload();

  /// Copies `source` to the GPU, and returns when `source` is not needed any more: the last pieces
  /// may still be under way to `result`.
  absl::Status copy(CUdeviceptr result, absl::Span<const uint8_t> source);

private:
  struct Buffer {
    std::unique_ptr<DeviceMemory> memory;
    CUevent copied = nullptr; ///< when the GPU has read it
  };

  CudaUpload(std::shared_ptr<CudaContext> context, CUstream stream);
  absl::Status copyPiece(Buffer &buffer, CUdeviceptr result, absl::Span<const uint8_t> piece);

  std::shared_ptr<CudaContext> context;
  const CUstream stream;
  ThreadPool threads;
  Buffer buffers[2];
  int next = 0;
};

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDAUPLOAD_H
