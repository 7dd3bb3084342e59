#include "runtime/device/CudaContext.h"

#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// Errors after which a context is lost: some kernel before did what no kernel may, or the GPU
/// failed.
bool isFailureOfEarlierWork(CUresult result) {
  switch (result) {
  case CUDA_ERROR_ECC_UNCORRECTABLE:
  case CUDA_ERROR_NVLINK_UNCORRECTABLE:
  case CUDA_ERROR_CONTAINED:
  case CUDA_ERROR_ILLEGAL_ADDRESS:
  case CUDA_ERROR_LAUNCH_TIMEOUT:
  case CUDA_ERROR_ASSERT:
  case CUDA_ERROR_HARDWARE_STACK_ERROR:
  case CUDA_ERROR_ILLEGAL_INSTRUCTION:
  case CUDA_ERROR_MISALIGNED_ADDRESS:
  case CUDA_ERROR_INVALID_ADDRESS_SPACE:
  case CUDA_ERROR_INVALID_PC:
  case CUDA_ERROR_LAUNCH_FAILED:
    return true;
  default:
    return false;
  }
}

/// "1 GPU", "2 GPUs (CUDA_VISIBLE_DEVICES=0,1)".
std::string describeVisible(int count) {
  const char *visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return absl::StrCat(count, count == 1 ? " GPU" : " GPUs",
                      visible ? absl::StrCat(" (CUDA_VISIBLE_DEVICES=", visible, ")") : "");
}

std::string capability(const GpuIdentity &gpu) { return absl::StrCat(gpu.major, ".", gpu.minor); }

/// "sm_90a" runs on 9.0 alone; "sm_90", on every 9.x from there.
bool runs(const GpuIdentity &gpu, const std::string &architecture) {
  const size_t digits = architecture.find_first_not_of("0123456789", 3);
  const std::string suffix = digits == std::string::npos ? "" : architecture.substr(digits);
  int number = 0;
  if (architecture.rfind("sm_", 0) != 0 ||
      !absl::SimpleAtoi(architecture.substr(3, digits == std::string::npos ? digits : digits - 3),
                        &number))
    return false;
  const bool isSpecific = suffix == "a";
  if ((!isSpecific && !suffix.empty()) || gpu.major != number / 10)
    return false;
  return isSpecific ? gpu.minor == number % 10 : gpu.minor >= number % 10;
}

} // namespace

absl::StatusOr<int> gpuCount(const CudaApi &api) {
  int count = 0;
  EPIGRAPH_RETURN_IF_ERROR(api.check(api.deviceGetCount(&count), "counting GPUs"));
  return count;
}

absl::StatusOr<GpuIdentity> identifyGpu(const CudaApi &api, int ordinal) {
  GpuIdentity gpu;
  gpu.ordinal = ordinal;
  const std::string what = absl::StrCat("asking what GPU ", ordinal, " is");
  EPIGRAPH_RETURN_IF_ERROR(api.check(api.deviceGet(&gpu.device, ordinal), what));
  char name[256] = {};
  EPIGRAPH_RETURN_IF_ERROR(api.check(api.deviceGetName(name, sizeof(name), gpu.device), what));
  gpu.name = name;
  size_t bytes = 0;
  EPIGRAPH_RETURN_IF_ERROR(api.check(api.deviceTotalMem(&bytes, gpu.device), what));
  gpu.memoryBytes = bytes;
  for (const auto &[attribute, value] :
       {std::pair(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &gpu.major),
        {CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &gpu.minor},
        {CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &gpu.multiprocessors},
        {CU_DEVICE_ATTRIBUTE_CLOCK_RATE, &gpu.clockKhz},
        {CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, &gpu.sharedBytes}})
    EPIGRAPH_RETURN_IF_ERROR(api.check(api.deviceGetAttribute(value, attribute, gpu.device), what));
  return gpu;
}

absl::StatusOr<int> localRank() {
  // The last is torchrun's, too, but of all machines: it does where somebody starts ranks by hand.
  for (const char *name :
       {"LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID", "RANK"}) {
    const char *value = std::getenv(name);
    if (!value || (name == std::string_view("RANK") && !std::getenv("WORLD_SIZE")))
      continue;
    int rank = 0;
    if (!absl::SimpleAtoi(value, &rank) || rank < 0)
      return absl::InvalidArgumentError(
          absl::StrCat("the environment variable ", name, " is '", value,
                       "'; expected the number of this rank on its machine, 0 or more"));
    return rank;
  }
  return 0;
}

absl::StatusOr<GpuIdentity> gpuOfThisRank(const CudaApi &api) {
  EPIGRAPH_ASSIGN_OR_RETURN(const int count, gpuCount(api));
  EPIGRAPH_ASSIGN_OR_RETURN(const int rank, localRank());
  if (rank >= count)
    return withCode(ErrorCode::TooFewGpus,
                    absl::UnimplementedError(absl::StrCat(
                        "local rank ", rank, " needs a GPU of its own, and this process sees ",
                        describeVisible(count),
                        "; start no more ranks on a machine than it has GPUs, and let each of them "
                        "see all (srun: --gpu-bind=none)")));
  return identifyGpu(api, rank);
}

absl::Status requireArchitectures(const GpuIdentity &gpu,
                                  absl::Span<const std::string> architectures) {
  for (const std::string &architecture : architectures)
    if (!runs(gpu, architecture))
      return withCode(
          ErrorCode::WrongGpu,
          absl::UnimplementedError(absl::StrCat(
              "GPU ", gpu.ordinal, " (", gpu.name, ") has compute capability ", capability(gpu),
              ", and the artifact's kernels were compiled for ", absl::StrJoin(architectures, ", "),
              "; run it on a GPU of that architecture")));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<CudaContext>> CudaContext::open(const CudaApi &api,
                                                               const GpuIdentity &gpu) {
  CUcontext context = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(api.check(api.devicePrimaryCtxRetain(&context, gpu.device),
                                     absl::StrCat("opening GPU ", gpu.ordinal)));
  return std::shared_ptr<CudaContext>(new CudaContext(api, gpu, context));
}

CudaContext::~CudaContext() { functions.devicePrimaryCtxRelease(identity.device); }

absl::Status CudaContext::reach(const CudaContext &other) const {
  use();
  const CUresult result = functions.ctxEnablePeerAccess(other.context, 0);
  if (result == CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED)
    return absl::OkStatus();
  return check(
      result, absl::StrCat("linking GPU ", identity.ordinal, " with GPU ", other.identity.ordinal));
}

absl::Status CudaContext::check(CUresult result, std::string_view what) const {
  if (!isFailureOfEarlierWork(result))
    return functions.check(result, what);
  return withCode(ErrorCode::DeviceFailed,
                  absl::InternalError(absl::StrCat(
                      "kernels on GPU ", identity.ordinal, " failed: ", functions.describe(result),
                      ", noticed when ", abslView(what),
                      "; run it again under compute-sanitizer and report what it says")));
}

} // namespace epigraph
