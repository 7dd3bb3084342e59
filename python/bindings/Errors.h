// How a Status becomes a Python exception.
#ifndef EPIGRAPH_PYTHON_BINDINGS_ERRORS_H
#define EPIGRAPH_PYTHON_BINDINGS_ERRORS_H

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace epigraph::python {

/// Throws the exception of epigraph.errors that belongs to `status`, with its message. A pending
/// Python exception (KeyboardInterrupt, found while the status came about) goes first. Needs the
/// GIL.
[[noreturn]] void raise(const absl::Status &status);

/// Raises if `status` is an error. Needs the GIL.
inline void check(const absl::Status &status) {
  if (!status.ok())
    raise(status);
}

/// The value, or raises. Needs the GIL.
template <typename T> T unwrap(absl::StatusOr<T> value) {
  if (!value.ok())
    raise(value.status());
  return std::move(*value);
}

} // namespace epigraph::python

#endif // EPIGRAPH_PYTHON_BINDINGS_ERRORS_H
