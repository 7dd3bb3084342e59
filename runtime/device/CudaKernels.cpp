#include "runtime/device/CudaKernels.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

absl::Status badLibrary(const std::string &path, const std::string &what) {
  return withCode(ErrorCode::BadKernelLibrary,
                  absl::FailedPreconditionError(absl::StrCat("kernel library ", path, " ", what,
                                                             "; compile the model again")));
}

absl::StatusOr<std::string> readLibrary(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return absl::NotFoundError(absl::StrCat("kernel library ", path, ": ", std::strerror(errno),
                                            "; compile the model again"));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

} // namespace

absl::StatusOr<std::unique_ptr<CudaKernels>>
CudaKernels::load(std::shared_ptr<CudaContext> context, const std::string &path,
                  absl::Span<const DeviceKernel> kernels) {
  EPIGRAPH_ASSIGN_OR_RETURN(const std::string image, readLibrary(path));
  // The driver would take PTX, too, and compile it; an artifact has been compiled.
  if (image.rfind("\x7f"
                  "ELF",
                  0) != 0)
    return badLibrary(path, "cannot be loaded: it is no cubin");
  context->use();
  const CudaApi &api = context->api();
  CUmodule library = nullptr;
  if (const CUresult result = api.moduleLoadData(&library, image.c_str()); result != CUDA_SUCCESS)
    return badLibrary(path, absl::StrCat("cannot be loaded: ", api.describe(result)));

  std::unique_ptr<CudaKernels> loaded(new CudaKernels(context, library));
  for (const DeviceKernel &kernel : kernels) {
    Entry entry{kernel, {}};
    for (const DeviceVariant &variant : kernel.variants) {
      std::vector<CUfunction> &functions = entry.functions.emplace_back();
      for (const DeviceLaunch &launch : variant.launches) {
        EPIGRAPH_ASSIGN_OR_RETURN(functions.emplace_back(), loaded->find(launch, path));
      }
    }
    loaded->entries.push_back(std::move(entry));
  }
  return loaded;
}

/// The function that `launch` names, ready for what it asks for.
absl::StatusOr<CUfunction> CudaKernels::find(const DeviceLaunch &launch,
                                             const std::string &path) const {
  const CudaApi &api = context->api();
  const std::string &symbol = launch.symbol;
  CUfunction function = nullptr;
  if (api.moduleGetFunction(&function, library, symbol.c_str()) != CUDA_SUCCESS)
    return badLibrary(path, absl::StrCat("has no kernel '", symbol, "', which its plan launches"));

  // Loaded now, not on first use: that may be inside of a recording.
  const std::string what = absl::StrCat("loading kernel '", symbol, "'");
  EPIGRAPH_RETURN_IF_ERROR(context->check(api.funcLoad(function), what));
  int threads = 0;
  int shared = 0;
  for (const auto &[attribute, value] :
       {std::pair(CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, &threads),
        {CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, &shared}})
    EPIGRAPH_RETURN_IF_ERROR(
        context->check(api.funcGetAttribute(value, attribute, function), what));
  if (launch.threads > static_cast<uint32_t>(threads))
    return badLibrary(path,
                      absl::StrCat("has a kernel '", symbol, "' for up to ", threads,
                                   " threads, and its plan launches it with ", launch.threads));
  const int64_t allShared = int64_t{shared} + launch.sharedBytes;
  if (allShared > context->gpu().sharedBytes)
    return badLibrary(path, absl::StrCat("has a kernel '", symbol, "' that takes ", allShared,
                                         " bytes of shared memory; GPU ", context->gpu().ordinal,
                                         " has ", context->gpu().sharedBytes));

  // Several launches may share a function; it keeps what the largest needs.
  int allowed = 0;
  EPIGRAPH_RETURN_IF_ERROR(context->check(
      api.funcGetAttribute(&allowed, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, function),
      what));
  if (launch.sharedBytes > static_cast<uint32_t>(allowed))
    EPIGRAPH_RETURN_IF_ERROR(context->check(
        api.funcSetAttribute(function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                             static_cast<int>(launch.sharedBytes)),
        what));
  return function;
}

CudaKernels::~CudaKernels() {
  context->use();
  context->api().moduleUnload(library);
}

} // namespace epigraph
