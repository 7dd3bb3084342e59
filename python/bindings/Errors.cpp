// The only place where exceptions are made. The classes live in Python (epigraph/errors.py), since
// two extension modules raise them; which one it is follows the exit code of the command line, so
// that both say the same.
#include "python/bindings/Errors.h"

#include <optional>
#include <string>

#include <pybind11/pybind11.h>

#include "runtime/base/ErrorCode.h"

namespace py = pybind11;

namespace epigraph::python {
namespace {

const char *classOf(const absl::Status &status) {
  switch (exitCodeOf(status)) {
  case ExitCode::Usage:
  case ExitCode::BadInput:
    return "InvalidInputError";
  case ExitCode::Unsupported:
    return "UnsupportedError";
  case ExitCode::Resources:
    return "ResourceError";
  case ExitCode::Interrupted:
    return "InterruptedError";
  case ExitCode::Ok:
  case ExitCode::Internal:
    break;
  }
  return "InternalError";
}

} // namespace

void raise(const absl::Status &status) {
  if (!PyErr_Occurred()) {
    const py::object type = py::module_::import("epigraph.errors").attr(classOf(status));
    const py::object error = type(std::string(status.message()));
    // Mistakes in the call have an exit code of their own, and no class.
    error.attr("exit_code") = static_cast<int>(exitCodeOf(status));
    if (std::optional<ErrorCode> code = errorCodeOf(status))
      error.attr("code") = errorCodeText(*code);
    PyErr_SetObject(type.ptr(), error.ptr());
  }
  throw py::error_already_set();
}

} // namespace epigraph::python
