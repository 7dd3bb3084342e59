// What epigraph-compile-kernels wrote, as a driver loads it.
#ifndef EPIGRAPH_TOOLS_EPIGRAPH_KERNELSFOLDER_H
#define EPIGRAPH_TOOLS_EPIGRAPH_KERNELSFOLDER_H

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/artifact/DeviceKernel.h"

namespace epigraph::tool {

/// A tensor that a kernel reads or writes.
struct KernelTensor {
  DType element = DType::BF16;
  std::vector<uint32_t> shape; ///< without the rows
  bool hasRows = false;        ///< of the batch, before `shape`

  /// Of one row, or of all where it has none.
  uint64_t bytes() const;
};

/// A kernel as its user sees it.
struct KernelSignature {
  std::string name;
  std::vector<KernelTensor> operands, results;
  /// The form that the kernel was asked to have: the name of an attribute and its numbers; empty
  /// for a kernel that was left its choice.
  std::string form;
  std::vector<uint32_t> fields;
};

struct KernelsFolder {
  std::string cubin; ///< path of the library
  /// One for each of kernels.kernels.
  std::vector<KernelSignature> signatures;
  DeviceKernels kernels;
};

/// Reads FOLDER/kernels.json. Errors: InvalidArgument for one that is no description of kernels of
/// tensors.
absl::StatusOr<KernelsFolder> readKernelsFolder(const std::filesystem::path &folder);

} // namespace epigraph::tool

#endif // EPIGRAPH_TOOLS_EPIGRAPH_KERNELSFOLDER_H
