// How errors travel: absl::Status, early returns, and context added on the way up. A message says
// what failed, where, what was expected, and what to do about it.
#ifndef EPIGRAPH_RUNTIME_BASE_STATUS_H
#define EPIGRAPH_RUNTIME_BASE_STATUS_H

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#include "runtime/base/ErrorCode.h"
#include "runtime/base/StringView.h"

namespace epigraph {

/// `status` with "context: " before its message; same codes. An OK status stays OK.
inline absl::Status withContext(const absl::Status &status, std::string_view context) {
  if (status.ok())
    return status;
  return withCodeOf(
      status, absl::Status(status.code(), absl::StrCat(abslView(context), ": ", status.message())));
}

} // namespace epigraph

/// Returns from the enclosing function when `expression`, an absl::Status, is an error.
#define EPIGRAPH_RETURN_IF_ERROR(expression)                                                       \
  do {                                                                                             \
    if (absl::Status epigraphStatus = (expression); !epigraphStatus.ok())                          \
      return epigraphStatus;                                                                       \
  } while (false)

#define EPIGRAPH_STATUS_JOIN_(a, b) a##b
#define EPIGRAPH_STATUS_JOIN(a, b) EPIGRAPH_STATUS_JOIN_(a, b)
#define EPIGRAPH_ASSIGN_OR_RETURN_(temporary, target, expression)                                  \
  auto temporary = (expression);                                                                   \
  if (!temporary.ok())                                                                             \
    return temporary.status();                                                                     \
  target = std::move(*temporary)

/// Assigns the value of `expression`, an absl::StatusOr, to `target` (which may declare a
/// variable), or returns its error from the enclosing function.
#define EPIGRAPH_ASSIGN_OR_RETURN(target, expression)                                              \
  EPIGRAPH_ASSIGN_OR_RETURN_(EPIGRAPH_STATUS_JOIN(epigraphStatusOr, __LINE__), target, expression)

#endif // EPIGRAPH_RUNTIME_BASE_STATUS_H
