#include "compiler/driver/WeightPacker.h"

#include <algorithm>
#include <thread>
#include <tuple>

#include "codegen/reference/WeightProgram.h"
#include "compiler/driver/WeightEncoding.h"
#include "compiler/driver/WeightSlices.h"
#include "runtime/artifact/Artifact.h"
#include "runtime/artifact/SafetensorsWriter.h"
#include "runtime/base/Status.h"

namespace epigraph {
namespace {

/// The weights of one file, in its order: first those whose size keeps the next one aligned to 64
/// bytes (in practice all but odd norms), then the others, wide elements before narrow ones so that
/// each still has its natural alignment.
std::vector<const StoredWeight *> fileOrder(llvm::ArrayRef<StoredWeight> weights, bool shared) {
  std::vector<const StoredWeight *> order;
  for (const StoredWeight &weight : weights)
    if (weight.shared == shared)
      order.push_back(&weight);
  auto key = [](const StoredWeight *weight) {
    bool aligned = weight->bytes() % 64 == 0;
    int64_t width = aligned ? 0 : static_cast<int64_t>(dtypeBytes(weight->dtype));
    return std::tuple(!aligned, -width, weight); // Weights lie in one array, in their order.
  };
  std::sort(order.begin(), order.end(),
            [&](const auto *a, const auto *b) { return key(a) < key(b); });
  return order;
}

class Packer {
public:
  Packer(llvm::ArrayRef<StoredWeight> weights, reference::WeightSource &source,
         const PackOptions &options)
      : source_(source), options_(options) {
    workers_.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    for (const StoredWeight &weight : weights)
      total_ += weight.bytes() * (weight.shared ? 1 : static_cast<uint64_t>(options.mesh.ranks()));
  }

  /// Writes `weights` as rank `rank` has them.
  absl::Status writeFile(const std::filesystem::path &path,
                         llvm::ArrayRef<const StoredWeight *> weights, int rank);

private:
  absl::Status writeWeight(const StoredWeight &weight, int rank, SafetensorsWriter &writer);
  /// The values of `program`, encoded as `weight` is.
  absl::Status writeValues(exec::WeightOp program, const StoredWeight &weight, int rank,
                           SafetensorsWriter &writer);

  reference::WeightSource &source_;
  const PackOptions &options_;
  reference::Workers workers_;
  uint64_t total_ = 0;
  uint64_t written_ = 0;
};

absl::Status Packer::writeFile(const std::filesystem::path &path,
                               llvm::ArrayRef<const StoredWeight *> weights, int rank) {
  std::vector<TensorDeclaration> declarations;
  for (const StoredWeight *weight : weights)
    declarations.push_back({weight->name, weight->dtype, weight->stored});
  EPIGRAPH_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                            SafetensorsWriter::create(path, declarations));
  for (const StoredWeight *weight : weights)
    EPIGRAPH_RETURN_IF_ERROR(writeWeight(*weight, rank, writer));
  return writer.finish();
}

/// Expert by expert where the program allows it, so that memory holds one expert.
absl::Status Packer::writeWeight(const StoredWeight &weight, int rank, SafetensorsWriter &writer) {
  exec::WeightOp whole = weight.op;
  const int64_t rows = weight.shape.size() > 2 ? weight.shape.front() : 0;
  for (int64_t row = 0; row < rows; ++row) {
    mlir::OwningOpRef<exec::WeightOp> slice = sliceWeight(whole, options_.mesh, rank, row);
    if (!slice)
      return writeValues(whole, weight, rank, writer);
    EPIGRAPH_RETURN_IF_ERROR(writeValues(*slice, weight, rank, writer));
  }
  return rows ? absl::OkStatus() : writeValues(whole, weight, rank, writer);
}

absl::Status Packer::writeValues(exec::WeightOp program, const StoredWeight &weight, int rank,
                                 SafetensorsWriter &writer) {
  reference::WeightOptions evaluation;
  evaluation.rank = rank;
  evaluation.mesh = options_.mesh;
  evaluation.workers = workers_;
  auto values = reference::evaluateWeight(program, source_, evaluation);
  if (failed(values))
    return absl::InternalError(absl::StrCat("weight \"", weight.name, "\" cannot be made"));

  ByteSink sink = [&](absl::Span<const uint8_t> bytes) -> absl::Status {
    if (options_.cancelled && *options_.cancelled)
      return absl::CancelledError("interrupted");
    written_ += bytes.size();
    return writer.append(bytes);
  };
  EPIGRAPH_RETURN_IF_ERROR(weight.panel
                               ? encodePanels(**values, weight.dtype,
                                              {weight.panel.getColumns(), weight.panel.getDepth()},
                                              workers_, sink)
                               : encodeRowMajor(**values, weight.dtype, workers_, sink));
  if (options_.progress)
    options_.progress(static_cast<double>(written_) / static_cast<double>(total_));
  return absl::OkStatus();
}

} // namespace

absl::Status packWeights(llvm::ArrayRef<StoredWeight> weights, reference::WeightSource &source,
                         const std::filesystem::path &directory, const PackOptions &options) {
  Packer packer(weights, source, options);
  EPIGRAPH_RETURN_IF_ERROR(packer.writeFile(directory / kSharedWeightsFile,
                                            fileOrder(weights, /*shared=*/true), /*rank=*/0));
  std::vector<const StoredWeight *> local = fileOrder(weights, /*shared=*/false);
  for (int rank = 0; rank < options.mesh.ranks(); ++rank)
    EPIGRAPH_RETURN_IF_ERROR(
        packer.writeFile(directory / rankWeightsFile(static_cast<uint32_t>(rank)), local, rank));
  return absl::OkStatus();
}

} // namespace epigraph
