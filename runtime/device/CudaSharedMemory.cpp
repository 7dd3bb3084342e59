#include "runtime/device/CudaSharedMemory.h"

#include <cstring>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaMemory.h"
#include "runtime/device/SharedHostMemory.h"

namespace epigraph {
namespace {

/// What travels.
struct Exported {
  uint32_t isOfHost;
  SharedHostMemory::Name name; ///< of the host's
  CUipcMemHandle handle;       ///< of a GPU's
  /// The driver shares whole allocations of its own, of which memory may be a part.
  uint64_t offset;
  uint64_t bytes;
};

std::vector<uint8_t> bytesOf(const Exported &exported) {
  std::vector<uint8_t> bytes(sizeof(exported));
  std::memcpy(bytes.data(), &exported, sizeof(exported));
  return bytes;
}

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

/// Memory of the host that the GPU reaches, too.
class RegisteredMemory : public DeviceMemory {
public:
  static absl::StatusOr<std::unique_ptr<DeviceMemory>> create(std::shared_ptr<CudaContext> context,
                                                              SharedHostMemory host) {
    const char *const what = "giving the GPU host memory that processes share";
    context->use();
    EPIGRAPH_RETURN_IF_ERROR(context->check(
        context->api().memHostRegister(host.data(), host.bytes(),
                                       CU_MEMHOSTREGISTER_PORTABLE | CU_MEMHOSTREGISTER_DEVICEMAP),
        what));
    std::unique_ptr<RegisteredMemory> memory(
        new RegisteredMemory(std::move(context), std::move(host)));
    EPIGRAPH_RETURN_IF_ERROR(memory->context->check(
        memory->context->api().memHostGetDevicePointer(&memory->base, memory->host.data(), 0),
        what));
    return memory;
  }
  ~RegisteredMemory() override {
    context->use();
    context->api().memHostUnregister(host.data());
  }
  uint8_t *address() const override { return reinterpret_cast<uint8_t *>(base); }
  size_t bytes() const override { return host.bytes(); }

private:
  RegisteredMemory(std::shared_ptr<CudaContext> context, SharedHostMemory host)
      : context(std::move(context)), host(std::move(host)) {}

  std::shared_ptr<CudaContext> context;
  SharedHostMemory host;
  CUdeviceptr base = 0;
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
  return bytesOf(exported);
}

absl::StatusOr<SharedMemory> shareHostMemory(std::shared_ptr<CudaContext> context, uint64_t bytes,
                                             const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(SharedHostMemory host, SharedHostMemory::create(bytes, purpose));
  Exported exported{};
  exported.isOfHost = 1;
  exported.name = host.name();
  exported.bytes = bytes;
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<DeviceMemory> memory,
                            RegisteredMemory::create(std::move(context), std::move(host)));
  return SharedMemory{std::move(memory), bytesOf(exported)};
}

absl::StatusOr<std::unique_ptr<DeviceMemory>> importToGpu(std::shared_ptr<CudaContext> context,
                                                          absl::Span<const uint8_t> bytes) {
  Exported exported{};
  if (bytes.size() != sizeof(exported))
    return absl::InternalError(absl::StrCat(bytes.size(), " bytes do not name shared memory"));
  std::memcpy(&exported, bytes.data(), sizeof(exported));
  if (exported.isOfHost) {
    EPIGRAPH_ASSIGN_OR_RETURN(SharedHostMemory host, SharedHostMemory::open(exported.name));
    return RegisteredMemory::create(std::move(context), std::move(host));
  }
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
