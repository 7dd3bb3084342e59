// What the two halves of the plan verifier share: checks of single values, and errors that name
// their place.
#ifndef EPIGRAPH_RUNTIME_ARTIFACT_PLANCHECKS_H
#define EPIGRAPH_RUNTIME_ARTIFACT_PLANCHECKS_H

#include <set>
#include <string>
#include <string_view>

#include "runtime/artifact/DeviceRows.h"
#include "runtime/artifact/plan_generated.h"
#include "runtime/base/Status.h"

namespace epigraph::plan {

inline std::string_view view(const flatbuffers::String *string) {
  return {string->data(), string->size()};
}

template <typename... Parts> absl::Status invalid(const Parts &...parts) {
  return absl::InvalidArgumentError(absl::StrCat("plan: ", parts...));
}

/// Names appear in messages and file headers: no control characters, not empty.
inline bool isPrintable(std::string_view name) {
  if (name.empty())
    return false;
  for (char c : name)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return false;
  return true;
}

inline bool isIdentifier(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9'))
    return false;
  for (char c : name)
    if (!(c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
      return false;
  return true;
}

template <typename Enum> absl::Status checkEnum(Enum value, Enum last, const std::string &where) {
  if (static_cast<unsigned>(value) > static_cast<unsigned>(last))
    return invalid(where, ": unknown value ", static_cast<unsigned>(value), "; the last known is ",
                   static_cast<unsigned>(last));
  return absl::OkStatus();
}

/// Checks that a name is printable and the first of its kind.
inline absl::Status checkName(const flatbuffers::String *name, const std::string &where,
                              std::set<std::string_view> &names) {
  if (!isPrintable(view(name)))
    return invalid(where, ".name: expected a name without control characters");
  if (!names.insert(view(name)).second)
    return invalid(where, ".name: \"", abslView(view(name)), "\" is there twice");
  return absl::OkStatus();
}

/// Verifies one function against the tables of `plan`, which have been verified; `where` names the
/// function.
absl::Status verifyFunction(const Plan &plan, const Function &function, const std::string &where);

/// Verifies the waits of a function that is right otherwise: each Wait is for a collective under
/// way, all that started have finished at the end, and meanwhile no step touches their memory, as
/// far as a plan tells.
absl::Status verifyWaits(const Function &function, const std::string &where);

/// Verifies how the runtime makes a weight of which all else is right; `where` names the weight.
absl::Status verifyRandomWeight(const Plan &plan, const Weight &weight, const std::string &where);
/// Verifies what all random weights share.
absl::Status verifyRandomWeights(const Plan &plan);

/// Verifies the variants of a kernel by themselves; `where` names the kernel.
absl::Status verifyVariants(const Plan &plan, const Kernel &kernel, const std::string &where);

/// Verifies a launch of a verified kernel that has variants: what they make of its rows and
/// arguments.
absl::Status verifyLaunchOnDevice(const Plan &plan, const Function &function,
                                  const DeviceRows &rows, const Launch &launch,
                                  const std::string &where);

} // namespace epigraph::plan

#endif // EPIGRAPH_RUNTIME_ARTIFACT_PLANCHECKS_H
