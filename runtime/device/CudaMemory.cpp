#include "runtime/device/CudaMemory.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// For the code of kernels, the nodes of graphs and the buffers of NCCL's connections.
constexpr uint64_t kKeptFree = uint64_t{1} << 30;

class GpuMemory : public DeviceMemory {
public:
  GpuMemory(std::shared_ptr<CudaContext> context, CUdeviceptr base, size_t size,
            MemoryReservation reservation)
      : context(std::move(context)), base(base), size(size), reservation(std::move(reservation)) {}
  ~GpuMemory() override {
    context->use();
    if (base)
      context->api().memFree(base);
  }
  uint8_t *address() const override { return reinterpret_cast<uint8_t *>(base); }
  size_t bytes() const override { return size; }

private:
  std::shared_ptr<CudaContext> context;
  CUdeviceptr base;
  size_t size;
  MemoryReservation reservation;
};

class PinnedMemory : public DeviceMemory {
public:
  PinnedMemory(std::shared_ptr<CudaContext> context, void *base, size_t size)
      : context(std::move(context)), base(base), size(size) {}
  ~PinnedMemory() override {
    context->use();
    if (base)
      context->api().memFreeHost(base);
  }
  uint8_t *address() const override { return static_cast<uint8_t *>(base); }
  size_t bytes() const override { return size; }

private:
  std::shared_ptr<CudaContext> context;
  void *base;
  size_t size;
};

absl::StatusOr<uint64_t> freeBytes(const CudaContext &context) {
  size_t free = 0;
  size_t total = 0;
  context.use();
  EPIGRAPH_RETURN_IF_ERROR(
      context.check(context.api().memGetInfo(&free, &total), "asking for free memory"));
  return free;
}

/// What the GPU's refusal of `bytes` means for the user.
absl::Status noMemory(const CudaContext &context, uint64_t bytes, const std::string &purpose) {
  const absl::StatusOr<uint64_t> free = freeBytes(context);
  return withCode(
      ErrorCode::DoesNotFit,
      absl::ResourceExhaustedError(absl::StrCat(
          "no memory for ", purpose, ": needs ", formatBytes(bytes), ", and GPU ",
          context.gpu().ordinal, " has ", free.ok() ? formatBytes(*free) : "an unknown amount",
          " free; end what else uses it, or give a smaller --memory-pool-size")));
}

} // namespace

absl::StatusOr<std::unique_ptr<DeviceMemory>> allocateOnGpu(std::shared_ptr<CudaContext> context,
                                                            MemoryPool &pool, uint64_t bytes,
                                                            const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(MemoryReservation reservation, pool.reserve(bytes, purpose));
  CUdeviceptr base = 0;
  if (bytes != 0) {
    context->use();
    const CUresult result = context->api().memAlloc(&base, bytes);
    if (result == CUDA_ERROR_OUT_OF_MEMORY)
      return noMemory(*context, bytes, purpose);
    EPIGRAPH_RETURN_IF_ERROR(
        context->check(result, absl::StrCat("allocating memory for ", purpose)));
  }
  return std::make_unique<GpuMemory>(std::move(context), base, bytes, std::move(reservation));
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
allocatePinned(std::shared_ptr<CudaContext> context, uint64_t bytes, const std::string &purpose) {
  void *base = nullptr;
  if (bytes != 0) {
    context->use();
    EPIGRAPH_RETURN_IF_ERROR(context->check(
        context->api().memHostAlloc(&base, bytes, CU_MEMHOSTALLOC_PORTABLE),
        absl::StrCat("pinning ", formatBytes(bytes), " of host memory for ", purpose)));
    std::memset(base, 0, bytes);
  }
  return std::make_unique<PinnedMemory>(std::move(context), base, bytes);
}

absl::StatusOr<uint64_t> availableOnGpu(const CudaContext &context) {
  EPIGRAPH_ASSIGN_OR_RETURN(const uint64_t free, freeBytes(context));
  return free > kKeptFree ? free - kKeptFree : 0;
}

} // namespace epigraph
