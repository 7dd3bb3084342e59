// libcuda gives its functions by name and by the version of CUDA that the caller was written for:
// names that stay while signatures change need no suffixes here.
#include "runtime/device/CudaApi.h"

#include <dlfcn.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr char kLibrary[] = "libcuda.so.1";
/// The first driver that runs CUDA 13.0.
constexpr int kOldestDriver = 580;

/// Never closed: the driver has threads of its own.
void *openLibrary() {
  static void *const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  return library;
}

absl::Status noGpu(absl::string_view reason) {
  return withCode(
      ErrorCode::NoGpu,
      absl::UnimplementedError(absl::StrCat(
          "this machine has no usable NVIDIA GPU: ", reason,
          "; run the artifact where `epigraph doctor` finds one, or compile the model again with "
          "--target cpu")));
}

absl::Status tooOld(int version) {
  return withCode(ErrorCode::DriverTooOld,
                  absl::UnimplementedError(absl::StrCat(
                      "the NVIDIA driver of this machine is for CUDA ", cudaVersionText(version),
                      ", and the artifact's kernels need CUDA ", cudaVersionText(kCudaVersion),
                      "; install driver ", kOldestDriver, " or a later one")));
}

absl::StatusOr<CudaApi> load() {
  void *library = openLibrary();
  if (!library)
    return noGpu(absl::StrCat(kLibrary, ", which comes with NVIDIA's driver, cannot be loaded"));
  CudaApi api;
  api.driverVersion = installedCudaVersion();
  const auto find =
      reinterpret_cast<decltype(&::cuGetProcAddress)>(dlsym(library, "cuGetProcAddress_v2"));
  if (api.driverVersion < kCudaVersion || !find)
    return tooOld(api.driverVersion);

  const char *missing = nullptr;
  const auto resolve = [&](const char *name, auto &function) {
    void *address = nullptr;
    if (find(name, &address, kCudaVersion, CU_GET_PROC_ADDRESS_DEFAULT, nullptr) != CUDA_SUCCESS ||
        !address)
      missing = name;
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
#define EPIGRAPH_CUDA_RESOLVE(member, function) resolve(#function, api.member);
  EPIGRAPH_CUDA_FUNCTIONS(EPIGRAPH_CUDA_RESOLVE)
#undef EPIGRAPH_CUDA_RESOLVE
  if (missing)
    return noGpu(absl::StrCat(kLibrary, " has no function ", missing));
  if (const CUresult result = api.init(0); result != CUDA_SUCCESS)
    return noGpu(absl::StrCat("the driver says ", api.describe(result)));
  return api;
}

} // namespace

absl::StatusOr<const CudaApi *> CudaApi::get() {
  static const absl::StatusOr<CudaApi> api = load();
  if (!api.ok())
    return api.status();
  return &*api;
}

std::string CudaApi::describe(CUresult result) const {
  const char *name = nullptr;
  const char *text = nullptr;
  if (getErrorName(result, &name) != CUDA_SUCCESS || !name)
    return absl::StrCat("CUDA error ", static_cast<int>(result));
  if (getErrorString(result, &text) != CUDA_SUCCESS || !text)
    return name;
  return absl::StrCat(name, " (", text, ")");
}

absl::Status CudaApi::check(CUresult result, std::string_view what) const {
  if (result == CUDA_SUCCESS)
    return absl::OkStatus();
  const std::string message = absl::StrCat(abslView(what), ": ", describe(result));
  if (result == CUDA_ERROR_OUT_OF_MEMORY)
    return absl::ResourceExhaustedError(message);
  return absl::InternalError(message);
}

std::string cudaVersionText(int version) {
  return absl::StrCat(version / 1000, ".", version % 1000 / 10);
}

int installedCudaVersion() {
  void *library = openLibrary();
  int version = 0;
  if (!library)
    return version;
  const auto get =
      reinterpret_cast<decltype(&::cuDriverGetVersion)>(dlsym(library, "cuDriverGetVersion"));
  if (get && get(&version) != CUDA_SUCCESS)
    version = 0;
  return version;
}

} // namespace epigraph
