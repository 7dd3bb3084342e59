// Runs the weight program: evaluates one weight after the other, stacks of experts one expert after
// the other, and streams them into the files of the artifact, so that memory holds one matrix at a
// time, whatever the size of the checkpoint.
#ifndef EPIGRAPH_COMPILER_DRIVER_WEIGHTPACKER_H
#define EPIGRAPH_COMPILER_DRIVER_WEIGHTPACKER_H

#include <atomic>
#include <filesystem>
#include <functional>

#include "absl/status/status.h"

#include "codegen/reference/MeshShape.h"
#include "codegen/reference/WeightSource.h"
#include "compiler/driver/WeightLayout.h"

namespace epigraph {

struct PackOptions {
  reference::MeshShape mesh;
  /// Called with the share of all bytes written so far.
  std::function<void(double)> progress;
  /// Polled; once true, packing ends with Cancelled.
  const std::atomic<bool> *cancelled = nullptr;
};

/// Writes weights/shared.safetensors and weights/rank-N.safetensors for each rank under
/// `directory`, whose weights/ exists. Why a weight's program failed is in the context's
/// diagnostics (Internal).
absl::Status packWeights(llvm::ArrayRef<StoredWeight> weights, reference::WeightSource &source,
                         const std::filesystem::path &directory, const PackOptions &options);

} // namespace epigraph

#endif // EPIGRAPH_COMPILER_DRIVER_WEIGHTPACKER_H
