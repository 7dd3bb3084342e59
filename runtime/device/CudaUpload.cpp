#include "runtime/device/CudaUpload.h"

#include <algorithm>
#include <cstring>

#include "runtime/base/Status.h"
#include "runtime/device/CpuDriver.h"

namespace epigraph {
namespace {

/// Large enough that the cost of a copy's start is lost in it.
constexpr size_t kPieceBytes = size_t{16} << 20;
/// What one thread copies at a time.
constexpr size_t kChunkBytes = size_t{256} << 10;
/// Threads that together read memory faster than the bus takes it.
constexpr int kMostThreads = 8;

struct PieceCopy {
  uint8_t *result;
  absl::Span<const uint8_t> source;
};

void copyChunks(const void *context, int64_t begin, int64_t end) {
  const PieceCopy &copy = *static_cast<const PieceCopy *>(context);
  const size_t from = static_cast<size_t>(begin) * kChunkBytes;
  const size_t to = std::min(static_cast<size_t>(end) * kChunkBytes, copy.source.size());
  std::memcpy(copy.result + from, copy.source.data() + from, to - from);
}

} // namespace

CudaUpload::CudaUpload(std::shared_ptr<CudaContext> context, CUstream stream)
    : context(std::move(context)), stream(stream),
      threads(std::min(kMostThreads, availableProcessors()), /*spin=*/false) {}

absl::StatusOr<std::unique_ptr<CudaUpload>> CudaUpload::create(std::shared_ptr<CudaContext> context,
                                                               CUstream stream) {
  std::unique_ptr<CudaUpload> upload(new CudaUpload(context, stream));
  for (Buffer &buffer : upload->buffers) {
    EPIGRAPH_ASSIGN_OR_RETURN(buffer.memory,
                              allocatePinned(context, kPieceBytes, "the loading of weights"));
    EPIGRAPH_RETURN_IF_ERROR(
        context->check(context->api().eventCreate(&buffer.copied, CU_EVENT_DISABLE_TIMING),
                       "preparing the loading of weights"));
  }
  return upload;
}

CudaUpload::~CudaUpload() {
  context->use();
  for (Buffer &buffer : buffers)
    if (buffer.copied) {
      context->api().eventSynchronize(buffer.copied);
      context->api().eventDestroy(buffer.copied);
    }
}

absl::Status CudaUpload::copy(CUdeviceptr result, absl::Span<const uint8_t> source) {
  context->use();
  while (!source.empty()) {
    const absl::Span<const uint8_t> piece = source.subspan(0, kPieceBytes);
    EPIGRAPH_RETURN_IF_ERROR(copyPiece(buffers[next], result, piece));
    result += piece.size();
    source.remove_prefix(piece.size());
    next = 1 - next;
  }
  return absl::OkStatus();
}

absl::Status CudaUpload::copyPiece(Buffer &buffer, CUdeviceptr result,
                                   absl::Span<const uint8_t> piece) {
  const CudaApi &api = context->api();
  const char *const what = "copying weights to the GPU";
  EPIGRAPH_RETURN_IF_ERROR(context->check(api.eventSynchronize(buffer.copied), what));
  uint8_t *const staged = buffer.memory->address();
  const PieceCopy copy{staged, piece};
  threads.run(static_cast<int64_t>((piece.size() + kChunkBytes - 1) / kChunkBytes), copyChunks,
              &copy);
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(api.memcpyHtoDAsync(result, staged, piece.size(), stream), what));
  return context->check(api.eventRecord(buffer.copied, stream), what);
}

} // namespace epigraph
