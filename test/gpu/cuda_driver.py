"""The few entry points of CUDA's driver API that the GPU tests need, through ctypes. PyTorch makes the context."""

import ctypes
from ctypes import POINTER, Structure, c_char, c_int, c_uint, c_uint32, c_uint64, c_void_p

_cuda = ctypes.CDLL("libcuda.so.1")


class CudaError(RuntimeError):
    """A call of the driver API failed."""


def call(name, *arguments):
    """Calls cuNAME. Raises CudaError with the driver's words."""
    code = getattr(_cuda, name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _cuda.cuGetErrorString(code, ctypes.byref(text))
        raise CudaError(f"{name}: {(text.value or b'?').decode()} ({code})")


_PEER_ACCESS_ALREADY_ENABLED = 704


def enable_peer_access(device: int) -> None:
    """Lets kernels of the current context reach the memory of `device`."""
    context = c_void_p()
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), c_int(device))
    code = _cuda.cuCtxEnablePeerAccess(context, 0)
    if code not in (0, _PEER_ACCESS_ALREADY_ENABLED):
        raise CudaError(f"cuCtxEnablePeerAccess: device {device} ({code})")


class LaunchAttribute(Structure):
    _fields_ = [("id", c_int), ("pad", c_char * 4), ("value", c_char * 64)]


class LaunchConfig(Structure):
    _fields_ = [
        ("grid", c_uint * 3),
        ("block", c_uint * 3),
        ("shared_bytes", c_uint),
        ("stream", c_void_p),
        ("attributes", POINTER(LaunchAttribute)),
        ("attribute_count", c_uint),
    ]


_PROGRAMMATIC_STREAM_SERIALIZATION = 6
_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8
_ELEMENTS = {"f8e4m3": 0, "i32": 3, "f32": 7, "bf16": 9}
_SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}
_L2_PROMOTION_256B = 3


class Module:
    """A loaded cubin."""

    def __init__(self, image: bytes):
        self._image = ctypes.create_string_buffer(image, len(image))
        self._module = c_void_p()
        call("cuModuleLoadData", ctypes.byref(self._module), self._image)

    def function(self, symbol: str, shared_bytes: int) -> c_void_p:
        function = c_void_p()
        call("cuModuleGetFunction", ctypes.byref(function), self._module, symbol.encode())
        call("cuFuncSetAttribute", function, _MAX_DYNAMIC_SHARED_SIZE_BYTES, c_int(shared_bytes))
        return function


def tensor_map(element: str, address: int, sizes, strides, box, swizzle_bytes: int):
    """128 bytes that describe a tensor to the copy engine, aligned to 64."""
    storage = (c_char * 192)()
    start = -ctypes.addressof(storage) % 64
    place = ctypes.byref(storage, start)
    rank = len(sizes)
    call(
        "cuTensorMapEncodeTiled",
        place,
        c_int(_ELEMENTS[element.lower().replace("_", "")]),
        c_uint32(rank),
        c_void_p(address),
        (c_uint64 * rank)(*sizes),
        (c_uint64 * max(rank - 1, 1))(*strides),
        (c_uint32 * rank)(*box),
        (c_uint32 * rank)(*([1] * rank)),
        c_int(0),
        c_int(_SWIZZLES[swizzle_bytes]),
        c_int(_L2_PROMOTION_256B),
        c_int(0),
    )
    return (c_char * 128).from_buffer(storage, start)


def launch(function, blocks: int, threads: int, shared_bytes: int, stream: int, early: bool, parameters) -> None:
    """Launches with `parameters`, ctypes values by value."""
    attribute = LaunchAttribute(id=_PROGRAMMATIC_STREAM_SERIALIZATION)
    ctypes.memmove(ctypes.addressof(attribute) + LaunchAttribute.value.offset, ctypes.byref(c_int(1)), 4)
    config = LaunchConfig(
        grid=(c_uint * 3)(blocks, 1, 1),
        block=(c_uint * 3)(threads, 1, 1),
        shared_bytes=shared_bytes,
        stream=stream,
        attributes=ctypes.pointer(attribute),
        attribute_count=1 if early else 0,
    )
    addresses = (c_void_p * len(parameters))(*[ctypes.addressof(p) for p in parameters])
    call("cuLaunchKernelEx", ctypes.byref(config), function, addresses, None)
