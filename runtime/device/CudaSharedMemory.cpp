#include "runtime/device/CudaSharedMemory.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaMemory.h"

namespace epigraph {
namespace {

/// What travels. The driver shares whole allocations of its own, of which memory may be a part.
struct Exported {
  CUipcMemHandle handle;
  uint64_t offset;
  uint64_t bytes;
};

class ImportedMemory : public DeviceMemory {
public:
  ImportedMemory(std::shared_ptr<CudaContext> context, CUdeviceptr base, const Exported &exported)
      : context(std::move(context)), base(base), exported(exported) {}
  ~ImportedMemory() override {
    context->use();
    context->api().ipcCloseMemHandle(base);
  }
  uint8_t *address() const override { return reinterpret_cast<uint8_t *>(base + exported.offset); }
  size_t bytes() const override { return exported.bytes; }

private:
  std::shared_ptr<CudaContext> context;
  CUdeviceptr base;
  Exported exported;
};

} // namespace

absl::StatusOr<std::vector<uint8_t>> exportFromGpu(const CudaContext &context,
                                                   const DeviceMemory &memory) {
  const CUdeviceptr address = devicePointer(memory.address());
  const char *const what = "sharing memory with other processes";
  CUdeviceptr base = 0;
  Exported exported{};
  exported.bytes = memory.bytes();
  context.use();
  EPIGRAPH_RETURN_IF_ERROR(
      context.check(context.api().memGetAddressRange(&base, nullptr, address), what));
  EPIGRAPH_RETURN_IF_ERROR(
      context.check(context.api().ipcGetMemHandle(&exported.handle, address), what));
  exported.offset = address - base;
  std::vector<uint8_t> bytes(sizeof(exported));
  std::memcpy(bytes.data(), &exported, sizeof(exported));
  return bytes;
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> importToGpu(std::shared_ptr<CudaContext> context,
                                                          absl::Span<const uint8_t> bytes) {
  Exported exported{};
  if (bytes.size() != sizeof(exported))
    return absl::InternalError(absl::StrCat(bytes.size(), " bytes do not name shared memory"));
  std::memcpy(&exported, bytes.data(), sizeof(exported));
  CUdeviceptr base = 0;
  context->use();
  const CUresult result =
      context->api().ipcOpenMemHandle(&base, exported.handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
  if (result == CUDA_ERROR_PEER_ACCESS_UNSUPPORTED)
    return withCode(ErrorCode::NotLinked,
                    absl::UnimplementedError(absl::StrCat(
                        "GPU ", context->gpu().ordinal,
                        " cannot reach the memory of another rank's GPU; see the links that "
                        "`epigraph doctor` prints")));
  EPIGRAPH_RETURN_IF_ERROR(context->check(result, "reaching the memory of another process"));
  return std::make_unique<ImportedMemory>(std::move(context), base, exported);
}

} // namespace epigraph
