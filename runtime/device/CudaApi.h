// NVIDIA's driver API, found at run time: a machine without a GPU has no libcuda, and runs the same
// program. Types come from the toolkit's <cuda.h>; nothing is linked.
#ifndef EPIGRAPH_RUNTIME_DEVICE_CUDAAPI_H
#define EPIGRAPH_RUNTIME_DEVICE_CUDAAPI_H

#include <cuda.h>

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace epigraph {

/// The functions in use: member of CudaApi, function of the driver.
#define EPIGRAPH_CUDA_FUNCTIONS(X)                                                                 \
  X(getErrorName, cuGetErrorName)                                                                  \
  X(getErrorString, cuGetErrorString)                                                              \
  X(init, cuInit)                                                                                  \
  X(deviceGetCount, cuDeviceGetCount)                                                              \
  X(deviceGet, cuDeviceGet)                                                                        \
  X(deviceGetName, cuDeviceGetName)                                                                \
  X(deviceGetAttribute, cuDeviceGetAttribute)                                                      \
  X(deviceTotalMem, cuDeviceTotalMem)                                                              \
  X(deviceCanAccessPeer, cuDeviceCanAccessPeer)                                                    \
  X(devicePrimaryCtxRetain, cuDevicePrimaryCtxRetain)                                              \
  X(devicePrimaryCtxRelease, cuDevicePrimaryCtxRelease)                                            \
  X(ctxSetCurrent, cuCtxSetCurrent)                                                                \
  X(ctxEnablePeerAccess, cuCtxEnablePeerAccess)                                                    \
  X(memGetInfo, cuMemGetInfo)                                                                      \
  X(memAlloc, cuMemAlloc)                                                                          \
  X(memFree, cuMemFree)                                                                            \
  X(memGetAddressRange, cuMemGetAddressRange)                                                      \
  X(memHostAlloc, cuMemHostAlloc)                                                                  \
  X(memFreeHost, cuMemFreeHost)                                                                    \
  X(memHostRegister, cuMemHostRegister)                                                            \
  X(memHostUnregister, cuMemHostUnregister)                                                        \
  X(memHostGetDevicePointer, cuMemHostGetDevicePointer)                                            \
  X(ipcGetMemHandle, cuIpcGetMemHandle)                                                            \
  X(ipcOpenMemHandle, cuIpcOpenMemHandle)                                                          \
  X(ipcCloseMemHandle, cuIpcCloseMemHandle)                                                        \
  X(memcpyHtoDAsync, cuMemcpyHtoDAsync)                                                            \
  X(memcpyDtoHAsync, cuMemcpyDtoHAsync)                                                            \
  X(memcpyDtoDAsync, cuMemcpyDtoDAsync)                                                            \
  X(memcpy2DAsync, cuMemcpy2DAsync)                                                                \
  X(memcpyAsync, cuMemcpyAsync)                                                                    \
  X(memsetD8Async, cuMemsetD8Async)                                                                \
  X(streamCreate, cuStreamCreate)                                                                  \
  X(streamDestroy, cuStreamDestroy)                                                                \
  X(streamQuery, cuStreamQuery)                                                                    \
  X(streamSynchronize, cuStreamSynchronize)                                                        \
  X(streamBeginCapture, cuStreamBeginCapture)                                                      \
  X(streamEndCapture, cuStreamEndCapture)                                                          \
  X(eventCreate, cuEventCreate)                                                                    \
  X(eventDestroy, cuEventDestroy)                                                                  \
  X(eventRecord, cuEventRecord)                                                                    \
  X(eventRecordWithFlags, cuEventRecordWithFlags)                                                  \
  X(eventSynchronize, cuEventSynchronize)                                                          \
  X(eventElapsedTime, cuEventElapsedTime)                                                          \
  X(graphInstantiate, cuGraphInstantiateWithFlags)                                                 \
  X(graphUpload, cuGraphUpload)                                                                    \
  X(graphLaunch, cuGraphLaunch)                                                                    \
  X(graphDestroy, cuGraphDestroy)                                                                  \
  X(graphExecDestroy, cuGraphExecDestroy)                                                          \
  X(moduleLoadData, cuModuleLoadData)                                                              \
  X(moduleUnload, cuModuleUnload)                                                                  \
  X(moduleGetFunction, cuModuleGetFunction)                                                        \
  X(funcLoad, cuFuncLoad)                                                                          \
  X(funcGetAttribute, cuFuncGetAttribute)                                                          \
  X(funcSetAttribute, cuFuncSetAttribute)                                                          \
  X(launchKernelEx, cuLaunchKernelEx)                                                              \
  X(tensorMapEncodeTiled, cuTensorMapEncodeTiled)

/// The version that kernels are compiled for, as cuDriverGetVersion numbers them.
inline constexpr int kCudaVersion = 13000;

struct CudaApi {
#define EPIGRAPH_CUDA_MEMBER(member, function) decltype(&::function) member;
  EPIGRAPH_CUDA_FUNCTIONS(EPIGRAPH_CUDA_MEMBER)
#undef EPIGRAPH_CUDA_MEMBER

  /// The driver's own version: 13000 for 13.0.
  int driverVersion = 0;

  /// Opens the driver, once for the process, and initialises it.
  /// Errors: Unimplemented for a machine without a driver or a GPU, or with too old a driver.
  static absl::StatusOr<const CudaApi *> get();

  /// `result` as a status: OK, ResourceExhausted for a lack of memory, else Internal. `what` says
  /// what was being done.
  absl::Status check(CUresult result, std::string_view what) const;

  /// "CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)".
  std::string describe(CUresult result) const;
};

/// "13.0" for 13000.
std::string cudaVersionText(int version);

/// The version of the driver of this machine; 0 when there is none.
int installedCudaVersion();

} // namespace epigraph

#endif // EPIGRAPH_RUNTIME_DEVICE_CUDAAPI_H
