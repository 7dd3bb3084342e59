// Bandwidths by copies, and by the one kernel that a copy does not stand for: reading alone. It is
// PTX, which the driver compiles, so that every GPU can be measured.
#include "runtime/device/ProbeGpus.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "absl/strings/str_cat.h"
#include "runtime/base/Status.h"
#include "runtime/device/CudaMemory.h"

namespace epigraph {
namespace {

/// Many times the caches.
constexpr size_t kBytes = size_t{1} << 30;
/// What crosses the bus: enough for its full rate.
constexpr size_t kBusBytes = size_t{256} << 20;
constexpr int kThreads = 512;
constexpr int kBlocksPerCore = 4;
/// Loads of one thread in one turn of the loop.
constexpr size_t kUnrolled = 4;

/// Reads `turns` times four pieces of 16 bytes with each thread; stores nothing, as all are zero.
constexpr char kReadKernel[] = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry read_memory(.param .u64 source, .param .u32 turns)
{
  .reg .u32 %turns, %index, %stride, %block, %size, %a<16>, %sum;
  .reg .u64 %address, %first, %step, %offset;
  .reg .pred %done;

  ld.param.u64 %first, [source];
  ld.param.u32 %turns, [turns];
  mov.u32 %block, %ctaid.x;
  mov.u32 %size, %ntid.x;
  mov.u32 %index, %tid.x;
  mad.lo.u32 %index, %block, %size, %index;
  mov.u32 %stride, %nctaid.x;
  mul.lo.u32 %stride, %stride, %size;
  mul.wide.u32 %step, %stride, 16;
  mul.wide.u32 %offset, %index, 16;
  add.u64 %address, %first, %offset;
  mov.u32 %sum, 0;
loop:
  setp.eq.u32 %done, %turns, 0;
  @%done bra end;
  ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%address];
  add.u64 %address, %address, %step;
  ld.global.v4.u32 {%a4, %a5, %a6, %a7}, [%address];
  add.u64 %address, %address, %step;
  ld.global.v4.u32 {%a8, %a9, %a10, %a11}, [%address];
  add.u64 %address, %address, %step;
  ld.global.v4.u32 {%a12, %a13, %a14, %a15}, [%address];
  add.u64 %address, %address, %step;
  or.b32 %a0, %a0, %a1;
  or.b32 %a2, %a2, %a3;
  or.b32 %a4, %a4, %a5;
  or.b32 %a6, %a6, %a7;
  or.b32 %a8, %a8, %a9;
  or.b32 %a10, %a10, %a11;
  or.b32 %a12, %a12, %a13;
  or.b32 %a14, %a14, %a15;
  or.b32 %a0, %a0, %a2;
  or.b32 %a4, %a4, %a6;
  or.b32 %a8, %a8, %a10;
  or.b32 %a12, %a12, %a14;
  or.b32 %a0, %a0, %a4;
  or.b32 %a8, %a8, %a12;
  or.b32 %a0, %a0, %a8;
  or.b32 %sum, %sum, %a0;
  sub.u32 %turns, %turns, 1;
  bra loop;
end:
  setp.eq.u32 %done, %sum, 0;
  @%done ret;
  st.global.u32 [%first], %sum;
  ret;
}
)";

/// A GPU with a stream, and what is measured with.
class Bench {
public:
  static absl::StatusOr<std::unique_ptr<Bench>> open(const CudaApi &api, int ordinal);
  ~Bench();

  absl::Status measure(GpuReport &report);
  /// 10^9 bytes a second from this GPU to `other`.
  absl::StatusOr<double> measureLink(const Bench &other, bool linked);

private:
  explicit Bench(std::shared_ptr<CudaContext> context)
      : context(std::move(context)), pool(UINT64_MAX) {}
  absl::Status prepare();
  absl::StatusOr<double> seconds(const std::function<CUresult()> &work);
  absl::StatusOr<double> rate(size_t bytes, const std::function<CUresult()> &work);
  absl::StatusOr<double> measureRead();
  absl::StatusOr<uint32_t> measureLaunch();
  CUresult read(uint32_t turns) const;
  unsigned blocks() const {
    return static_cast<unsigned>(context->gpu().multiprocessors * kBlocksPerCore);
  }

  std::shared_ptr<CudaContext> context;
  MemoryPool pool;
  CUstream stream = nullptr;
  CUevent begin = nullptr;
  CUevent end = nullptr;
  CUmodule library = nullptr;
  CUfunction reader = nullptr;
  std::unique_ptr<DeviceMemory> first, second, host;
};

absl::StatusOr<std::unique_ptr<Bench>> Bench::open(const CudaApi &api, int ordinal) {
  EPIGRAPH_ASSIGN_OR_RETURN(const GpuIdentity gpu, identifyGpu(api, ordinal));
  EPIGRAPH_ASSIGN_OR_RETURN(std::shared_ptr<CudaContext> context, CudaContext::open(api, gpu));
  std::unique_ptr<Bench> bench(new Bench(std::move(context)));
  EPIGRAPH_RETURN_IF_ERROR(bench->prepare());
  return bench;
}

absl::Status Bench::prepare() {
  const CudaApi &api = context->api();
  context->use();
  const auto check = [&](CUresult result) {
    return context->check(result, "preparing to measure");
  };
  EPIGRAPH_RETURN_IF_ERROR(check(api.streamCreate(&stream, CU_STREAM_NON_BLOCKING)));
  EPIGRAPH_RETURN_IF_ERROR(check(api.eventCreate(&begin, CU_EVENT_DEFAULT)));
  EPIGRAPH_RETURN_IF_ERROR(check(api.eventCreate(&end, CU_EVENT_DEFAULT)));
  EPIGRAPH_RETURN_IF_ERROR(check(api.moduleLoadData(&library, kReadKernel)));
  EPIGRAPH_RETURN_IF_ERROR(check(api.moduleGetFunction(&reader, library, "read_memory")));
  EPIGRAPH_ASSIGN_OR_RETURN(first, allocateOnGpu(context, pool, kBytes, "measuring"));
  EPIGRAPH_ASSIGN_OR_RETURN(second, allocateOnGpu(context, pool, kBytes, "measuring"));
  EPIGRAPH_ASSIGN_OR_RETURN(host, allocatePinned(context, kBusBytes, "measuring"));
  return check(api.memsetD8Async(devicePointer(first->address()), 0, kBytes, stream));
}

Bench::~Bench() {
  const CudaApi &api = context->api();
  context->use();
  if (stream)
    api.streamSynchronize(stream);
  if (library)
    api.moduleUnload(library);
  for (CUevent event : {begin, end})
    if (event)
      api.eventDestroy(event);
  if (stream)
    api.streamDestroy(stream);
}

/// The shortest of a few runs; the first warms up.
absl::StatusOr<double> Bench::seconds(const std::function<CUresult()> &work) {
  const CudaApi &api = context->api();
  const auto check = [&](CUresult result) { return context->check(result, "measuring"); };
  context->use();
  float best = 0;
  for (int run = 0; run < 6; ++run) {
    float milliseconds = 0;
    EPIGRAPH_RETURN_IF_ERROR(check(api.eventRecord(begin, stream)));
    EPIGRAPH_RETURN_IF_ERROR(check(work()));
    EPIGRAPH_RETURN_IF_ERROR(check(api.eventRecord(end, stream)));
    EPIGRAPH_RETURN_IF_ERROR(check(api.eventSynchronize(end)));
    EPIGRAPH_RETURN_IF_ERROR(check(api.eventElapsedTime(&milliseconds, begin, end)));
    best = run < 2 ? milliseconds : std::min(best, milliseconds);
  }
  return static_cast<double>(best) * 1e-3;
}

absl::StatusOr<double> Bench::rate(size_t bytes, const std::function<CUresult()> &work) {
  EPIGRAPH_ASSIGN_OR_RETURN(const double time, seconds(work));
  return static_cast<double>(bytes) * 1e-9 / time;
}

CUresult Bench::read(uint32_t turns) const {
  CUdeviceptr source = devicePointer(first->address());
  void *arguments[] = {&source, &turns};
  CUlaunchConfig config{};
  config.gridDimX = blocks();
  config.blockDimX = kThreads;
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream;
  return context->api().launchKernelEx(&config, reader, arguments, nullptr);
}

absl::StatusOr<double> Bench::measureRead() {
  const size_t turnBytes = size_t{blocks()} * kThreads * kUnrolled * 16;
  const size_t turns = kBytes / turnBytes;
  return rate(turns * turnBytes, [&] { return read(static_cast<uint32_t>(turns)); });
}

/// Nanoseconds from one kernel to the next in a graph, as decode steps are run.
absl::StatusOr<uint32_t> Bench::measureLaunch() {
  constexpr int kLaunches = 500;
  const CudaApi &api = context->api();
  const auto check = [&](CUresult result) { return context->check(result, "measuring a graph"); };
  context->use();
  CUgraph captured = nullptr;
  CUgraphExec graph = nullptr;
  EPIGRAPH_RETURN_IF_ERROR(
      check(api.streamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL)));
  CUresult launched = CUDA_SUCCESS;
  for (int i = 0; i < kLaunches && launched == CUDA_SUCCESS; ++i)
    launched = read(0);
  EPIGRAPH_RETURN_IF_ERROR(check(api.streamEndCapture(stream, &captured)));
  const CUresult made = api.graphInstantiate(&graph, captured, 0);
  api.graphDestroy(captured);
  EPIGRAPH_RETURN_IF_ERROR(check(launched));
  EPIGRAPH_RETURN_IF_ERROR(check(made));
  const absl::StatusOr<double> time = seconds([&] { return api.graphLaunch(graph, stream); });
  api.graphExecDestroy(graph);
  EPIGRAPH_RETURN_IF_ERROR(time.status());
  return std::max(1u, static_cast<uint32_t>(*time * 1e9 / kLaunches));
}

absl::Status Bench::measure(GpuReport &report) {
  const CudaApi &api = context->api();
  const CUdeviceptr a = devicePointer(first->address()), b = devicePointer(second->address());
  size_t free = 0, total = 0;
  context->use();
  if (api.memGetInfo(&free, &total) == CUDA_SUCCESS)
    report.freeBytes = free + 2 * kBytes;
  EPIGRAPH_ASSIGN_OR_RETURN(report.machine.memoryGbps, measureRead());
  EPIGRAPH_ASSIGN_OR_RETURN(
      report.copyGbps, rate(2 * kBytes, [&] { return api.memcpyDtoDAsync(b, a, kBytes, stream); }));
  EPIGRAPH_ASSIGN_OR_RETURN(report.machine.hostGbps, rate(kBusBytes, [&] {
                              return api.memcpyHtoDAsync(b, host->address(), kBusBytes, stream);
                            }));
  EPIGRAPH_ASSIGN_OR_RETURN(report.toHostGbps, rate(kBusBytes, [&] {
                              return api.memcpyDtoHAsync(host->address(), a, kBusBytes, stream);
                            }));
  EPIGRAPH_ASSIGN_OR_RETURN(report.machine.launchNs, measureLaunch());
  return absl::OkStatus();
}

absl::StatusOr<double> Bench::measureLink(const Bench &other, bool linked) {
  if (linked)
    EPIGRAPH_RETURN_IF_ERROR(context->reach(*other.context));
  const CUdeviceptr from = devicePointer(first->address());
  const CUdeviceptr to = devicePointer(other.second->address());
  // Addresses are unique over all GPUs and the host: a copy finds the way by them.
  return rate(kBusBytes, [&] { return context->api().memcpyAsync(to, from, kBusBytes, stream); });
}

/// Three digits: more would say more than a measurement does.
void round(double &value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  value = std::strtod(text, nullptr);
}

} // namespace

absl::Status measureGpus(GpuProbe &probe) {
  EPIGRAPH_ASSIGN_OR_RETURN(const CudaApi *api, CudaApi::get());
  std::vector<std::unique_ptr<Bench>> benches;
  for (size_t i = 0; i < probe.gpus.size(); ++i) {
    EPIGRAPH_ASSIGN_OR_RETURN(benches.emplace_back(), Bench::open(*api, static_cast<int>(i)));
    EPIGRAPH_RETURN_IF_ERROR(benches.back()->measure(probe.gpus[i]));
  }
  for (size_t from = 0; from < benches.size(); ++from) {
    GpuReport &report = probe.gpus[from];
    for (size_t to = 0; to < benches.size(); ++to) {
      if (from == to)
        continue;
      EPIGRAPH_ASSIGN_OR_RETURN(report.toPeer[to],
                                benches[from]->measureLink(*benches[to], report.linked[to]));
      round(report.toPeer[to]);
      // Ranks wait for the slowest.
      double &slowest = report.machine.linkGbps;
      slowest = slowest == 0 ? report.toPeer[to] : std::min(slowest, report.toPeer[to]);
    }
    for (double *value : {&report.machine.memoryGbps, &report.machine.hostGbps, &report.copyGbps,
                          &report.toHostGbps})
      round(*value);
  }
  return absl::OkStatus();
}

} // namespace epigraph
