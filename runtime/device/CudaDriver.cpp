#include "runtime/device/CudaDriver.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaKernels.h"
#include "runtime/device/CudaLaunch.h"
#include "runtime/device/CudaMemory.h"
#include "runtime/device/CudaSharedMemory.h"
#include "runtime/device/SpinWait.h"

namespace epigraph {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a wait spins before it sleeps: longer than a decode step, whose end should be noticed
/// at once.
constexpr std::chrono::milliseconds kSpinTime{50};
constexpr std::chrono::microseconds kSleepTime{100};

class CudaMark : public TimeMark {
public:
  CudaMark(std::shared_ptr<CudaContext> context, CUevent event)
      : event(event), context(std::move(context)) {}
  ~CudaMark() override {
    context->use();
    context->api().eventDestroy(event);
  }

  const CUevent event;

private:
  std::shared_ptr<CudaContext> context;
};

/// Work as an executable graph.
class CudaGraph : public RecordedWork {
public:
  CudaGraph(std::shared_ptr<CudaContext> context, CUgraphExec graph)
      : graph(graph), context(std::move(context)) {}
  ~CudaGraph() override {
    context->use();
    context->api().graphExecDestroy(graph);
  }

  const CUgraphExec graph;

private:
  std::shared_ptr<CudaContext> context;
};

} // namespace

absl::StatusOr<std::unique_ptr<CudaDriver>> CudaDriver::open(MemoryPool &pool) {
  EPIGRAPH_ASSIGN_OR_RETURN(const CudaApi *api, CudaApi::get());
  EPIGRAPH_ASSIGN_OR_RETURN(const GpuIdentity gpu, gpuOfThisRank(*api));
  EPIGRAPH_ASSIGN_OR_RETURN(std::shared_ptr<CudaContext> context, CudaContext::open(*api, gpu));
  context->use();
  std::unique_ptr<CudaDriver> driver(new CudaDriver(std::move(context), pool));
  // Not the default stream, which waits for all others.
  EPIGRAPH_RETURN_IF_ERROR(driver->context->check(
      api->streamCreate(&driver->stream, CU_STREAM_NON_BLOCKING), "creating a stream"));
  return driver;
}

CudaDriver::~CudaDriver() {
  context->use();
  upload.reset();
  if (stream) {
    context->api().streamSynchronize(stream);
    context->api().streamDestroy(stream);
  }
}

absl::Status CudaDriver::requireFeatures(absl::Span<const std::string> features) const {
  return requireArchitectures(context->gpu(), features);
}

absl::StatusOr<uint64_t> CudaDriver::availableBytes() const { return availableOnGpu(*context); }

absl::StatusOr<std::unique_ptr<DeviceMemory>> CudaDriver::allocate(uint64_t bytes,
                                                                   const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<DeviceMemory> memory,
                            allocateOnGpu(context, pool, bytes, purpose));
  EPIGRAPH_RETURN_IF_ERROR(clear(memory->address(), bytes));
  return memory;
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
CudaDriver::allocateStaging(uint64_t bytes, const std::string &purpose) {
  return allocatePinned(context, bytes, purpose);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
CudaDriver::mapConstants(absl::Span<const uint8_t> bytes, const std::string &purpose) {
  EPIGRAPH_ASSIGN_OR_RETURN(std::unique_ptr<DeviceMemory> memory,
                            allocateOnGpu(context, pool, bytes.size(), purpose));
  if (!upload) {
    EPIGRAPH_ASSIGN_OR_RETURN(upload, CudaUpload::create(context, stream));
  }
  EPIGRAPH_RETURN_IF_ERROR(upload->copy(devicePointer(memory->address()), bytes));
  return memory;
}

absl::StatusOr<std::vector<uint8_t>> CudaDriver::exportMemory(const DeviceMemory &memory) {
  return exportFromGpu(*context, memory);
}

absl::StatusOr<std::unique_ptr<DeviceMemory>>
CudaDriver::importMemory(absl::Span<const uint8_t> exported) {
  return importToGpu(context, exported);
}

absl::StatusOr<SharedMemory> CudaDriver::allocateShared(uint64_t bytes,
                                                        const std::string &purpose) {
  return shareHostMemory(context, bytes, purpose);
}

absl::Status CudaDriver::copyIn(uint8_t *result, absl::Span<const uint8_t> source) {
  if (source.empty())
    return absl::OkStatus();
  context->use();
  return context->check(
      context->api().memcpyHtoDAsync(devicePointer(result), source.data(), source.size(), stream),
      "copying to the GPU");
}

absl::Status CudaDriver::copyOut(absl::Span<uint8_t> result, const uint8_t *source) {
  if (result.empty())
    return absl::OkStatus();
  context->use();
  return context->check(
      context->api().memcpyDtoHAsync(result.data(), devicePointer(source), result.size(), stream),
      "copying from the GPU");
}

absl::Status CudaDriver::copy(uint8_t *result, const uint8_t *source, size_t bytes) {
  if (bytes == 0 || result == source)
    return absl::OkStatus();
  context->use();
  return context->check(
      context->api().memcpyDtoDAsync(devicePointer(result), devicePointer(source), bytes, stream),
      "copying within the GPU");
}

absl::Status CudaDriver::copyColumns(uint8_t *result, size_t resultStride, const uint8_t *source,
                                     size_t sourceStride, size_t width, size_t rows) {
  if (width == 0 || rows == 0)
    return absl::OkStatus();
  CUDA_MEMCPY2D copy{};
  copy.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.srcDevice = devicePointer(source);
  copy.srcPitch = sourceStride;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = devicePointer(result);
  copy.dstPitch = resultStride;
  copy.WidthInBytes = width;
  copy.Height = rows;
  context->use();
  return context->check(context->api().memcpy2DAsync(&copy, stream),
                        "copying columns within the GPU");
}

absl::Status CudaDriver::clear(uint8_t *result, size_t bytes) {
  if (bytes == 0)
    return absl::OkStatus();
  context->use();
  return context->check(context->api().memsetD8Async(devicePointer(result), 0, bytes, stream),
                        "clearing memory of the GPU");
}

absl::StatusOr<std::unique_ptr<KernelLibrary>>
CudaDriver::loadKernels(const std::string &path, absl::Span<const DeviceKernel> kernels) {
  return CudaKernels::load(context, path, kernels);
}

absl::StatusOr<std::unique_ptr<PreparedLaunch>> CudaDriver::prepare(const KernelLibrary &library,
                                                                    const LaunchBinding &binding) {
  context->use();
  // Libraries come from loadKernels of a CudaDriver: executors never mix drivers.
  return CudaLaunch::prepare(*context, static_cast<const CudaKernels &>(library), binding);
}

absl::Status CudaDriver::launch(const PreparedLaunch &launch, int64_t rows,
                                const StepBounds &bounds) {
  context->use();
  return static_cast<const CudaLaunch &>(launch).run(*context, stream, rows, bounds);
}

absl::StatusOr<bool> CudaDriver::isIdle() {
  context->use();
  const CUresult result = context->api().streamQuery(stream);
  if (result == CUDA_ERROR_NOT_READY)
    return false;
  EPIGRAPH_RETURN_IF_ERROR(context->check(result, "waiting for the GPU"));
  return true;
}

absl::Status CudaDriver::synchronize(std::chrono::milliseconds deadline) {
  const Clock::time_point start = Clock::now();
  for (;;) {
    EPIGRAPH_ASSIGN_OR_RETURN(const bool idle, isIdle());
    if (idle)
      return absl::OkStatus();
    const Clock::duration waited = Clock::now() - start;
    // Rounded to the coarser unit: the longest deadline does not fit the finer one.
    if (std::chrono::duration_cast<std::chrono::milliseconds>(waited) > deadline)
      return withCode(ErrorCode::Deadline,
                      absl::DeadlineExceededError(
                          absl::StrCat("GPU ", context->gpu().ordinal, " has made no progress for ",
                                       static_cast<double>(deadline.count()) / 1000, " s")));
    if (waited < kSpinTime)
      pauseCpu();
    else
      std::this_thread::sleep_for(kSleepTime);
  }
}

int64_t CudaDriver::clockTicks(std::chrono::milliseconds time) const {
  return time.count() * context->gpu().clockKhz;
}

absl::StatusOr<std::unique_ptr<TimeMark>> CudaDriver::createMark() {
  CUevent event = nullptr;
  context->use();
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(context->api().eventCreate(&event, CU_EVENT_DEFAULT), "creating an event"));
  return std::make_unique<CudaMark>(context, event);
}

absl::Status CudaDriver::place(TimeMark &mark) {
  context->use();
  // In a recording, the mark is to be placed in each replay, and read from outside.
  const unsigned flags = isRecording ? CU_EVENT_RECORD_EXTERNAL : CU_EVENT_RECORD_DEFAULT;
  return context->check(
      context->api().eventRecordWithFlags(static_cast<CudaMark &>(mark).event, stream, flags),
      "recording an event");
}

absl::StatusOr<std::chrono::nanoseconds> CudaDriver::between(const TimeMark &from,
                                                             const TimeMark &to) {
  const CudaApi &api = context->api();
  const CUevent start = static_cast<const CudaMark &>(from).event;
  const CUevent end = static_cast<const CudaMark &>(to).event;
  float milliseconds = 0;
  context->use();
  for (const CUevent event : {start, end})
    EPIGRAPH_RETURN_IF_ERROR(
        context->check(api.eventSynchronize(event), "waiting for the GPU to take the time"));
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(api.eventElapsedTime(&milliseconds, start, end), "taking the time"));
  return std::chrono::nanoseconds(static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6));
}

absl::Status CudaDriver::beginRecording() {
  context->use();
  // Other threads, those of NCCL above all, may go on allocating meanwhile.
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(context->api().streamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL),
                     "starting to record"));
  isRecording = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RecordedWork>> CudaDriver::endRecording() {
  const CudaApi &api = context->api();
  CUgraph captured = nullptr;
  isRecording = false;
  context->use();
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(api.streamEndCapture(stream, &captured), "ending a recording"));
  CUgraphExec graph = nullptr;
  const CUresult made = api.graphInstantiate(&graph, captured, 0);
  api.graphDestroy(captured);
  EPIGRAPH_RETURN_IF_ERROR(context->check(made, "making a graph of a recording"));
  auto work = std::make_unique<CudaGraph>(context, graph);
  // Else the first replay would do it.
  EPIGRAPH_RETURN_IF_ERROR(
      context->check(api.graphUpload(graph, stream), "copying a graph to the GPU"));
  return work;
}

absl::Status CudaDriver::replay(const RecordedWork &work) {
  context->use();
  return context->check(
      context->api().graphLaunch(static_cast<const CudaGraph &>(work).graph, stream),
      "replaying a recording");
}

} // namespace epigraph
