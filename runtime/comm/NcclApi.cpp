#include "runtime/comm/NcclApi.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

constexpr char kLibrary[] = "libnccl.so.2";

absl::Status noNccl(absl::string_view reason) {
  return withCode(ErrorCode::NoNccl,
                  absl::UnimplementedError(absl::StrCat(
                      "ranks exchange rows through NCCL, and ", reason, "; install libnccl2 (",
                      kOldestNccl / 10000, ".", kOldestNccl % 10000 / 100,
                      " or later), or name its folder in LD_LIBRARY_PATH")));
}

absl::StatusOr<NcclApi> load() {
  void *library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return noNccl(absl::StrCat(kLibrary, " cannot be loaded"));
  NcclApi api;
  const char *missing = nullptr;
  const auto resolve = [&](const char *name, auto &function) {
    void *address = dlsym(library, name);
    if (!address)
      missing = name;
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
#define EPIGRAPH_NCCL_RESOLVE(member, function) resolve(#function, api.member);
  EPIGRAPH_NCCL_FUNCTIONS(EPIGRAPH_NCCL_RESOLVE)
#undef EPIGRAPH_NCCL_RESOLVE
  if (missing)
    return noNccl(absl::StrCat(kLibrary, " has no function ", missing));
  int version = 0;
  if (api.getVersion(&version) != ncclSuccess || version < kOldestNccl)
    return noNccl(absl::StrCat("that of this machine is version ", version / 10000, ".",
                               version % 10000 / 100, ".", version % 100));
  return api;
}

} // namespace

absl::StatusOr<const NcclApi *> NcclApi::get() {
  static const absl::StatusOr<NcclApi> api = load();
  if (!api.ok())
    return api.status();
  return &*api;
}

absl::Status NcclApi::check(ncclResult_t result, std::string_view what) const {
  if (result == ncclSuccess)
    return absl::OkStatus();
  return absl::InternalError(absl::StrCat(abslView(what), ": NCCL: ", getErrorString(result), " (",
                                          getLastError(nullptr), ")"));
}

} // namespace epigraph
