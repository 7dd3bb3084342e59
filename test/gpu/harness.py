"""Runs kernels that epigraph-compile-kernels wrote, with PyTorch's tensors, as the runtime would.

    library = Library("build/gpu/rows")
    y = library["rms_norm"](x, w, rows=5)[0]

Tensors with rows get room for `capacity` rows; what a kernel must not read or must write is poisoned with NaN (0xFF).
"""

import ctypes
import json
import math
import os
import statistics
from pathlib import Path

import torch

import cuda_driver
from batch import Batch

DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32, "f8E4M3FN": torch.float8_e4m3fn, "i32": torch.int32}
COUNT_ONE = 0


def poisoned(shape, dtype: torch.dtype) -> torch.Tensor:
    """Memory whose every byte is 0xFF: NaN, or -1."""
    count = math.prod(shape) * torch.empty((), dtype=dtype).element_size()
    return torch.full((max(count, 1),), 0xFF, dtype=torch.uint8, device="cuda")[:count].view(dtype).reshape(shape)


def with_room(tensor: torch.Tensor, rows: int) -> torch.Tensor:
    """`tensor` with poisoned rows after its own."""
    room = poisoned((rows, *tensor.shape[1:]), tensor.dtype)
    room[: tensor.shape[0]] = tensor
    return room


def column_major(scales: torch.Tensor, capacity: int) -> torch.Tensor:
    """[rows, blocks] as kernels keep it: [blocks, capacity]."""
    room = poisoned((scales.shape[1], capacity), scales.dtype)
    room[:, : scales.shape[0]] = scales.T
    return room


class Raw:
    """An operand that is passed as it is, whatever its shape."""

    def __init__(self, tensor: torch.Tensor):
        self.tensor = tensor


class Launches:
    """One call of a kernel, ready to be launched again and again."""

    def __init__(self, library, variant, pointers, bytes_of, step, count, capacity, blocks_of):
        self._keep = [pointers, step, count]
        self._prepared = []
        parameters_after = [ctypes.c_void_p(t.data_ptr()) for t in pointers]
        parameters_after += [
            ctypes.c_void_p(step.data_ptr()),
            ctypes.c_void_p(count.data_ptr()),
            ctypes.c_int32(1),
            ctypes.c_int32(capacity),
            ctypes.c_void_p(library.workspace.data_ptr()),
        ]
        for launch in variant["launches"]:
            maps = [library.encode(m, pointers[m["operand"]], bytes_of[m["operand"]], capacity) for m in launch["maps"]]
            self._prepared.append(
                (library.function(launch), blocks_of(launch), launch["threads"], launch["shared_bytes"], launch["early"], maps + parameters_after)
            )

    def run(self) -> None:
        stream = torch.cuda.current_stream().cuda_stream
        for function, blocks, threads, shared, early, parameters in self._prepared:
            if blocks:
                cuda_driver.launch(function, blocks, threads, shared, stream, early, parameters)


class Kernel:
    def __init__(self, library, description):
        self.library = library
        self.description = description

    def variants(self, rows: int, one_token_each: bool):
        """All that take such a launch; the runtime takes the first."""
        fits = lambda v: (v["most_rows"] == 0 or rows <= v["most_rows"]) and (not v["one_token_each"] or one_token_each)  # noqa: E731
        return [variant for variant in self.description["variants"] if fits(variant)]

    def variant(self, rows: int, one_token_each: bool):
        found = self.variants(rows, one_token_each)
        if not found:
            raise ValueError(f"{self.description['name']}: no variant for {rows} rows")
        return found[0]

    def prepare(
        self,
        *operands,
        rows: int,
        capacity: int | None = None,
        room: int | None = None,
        batch: Batch | None = None,
        bound: int | None = None,
        variant=None,
        count=None,
    ):
        """Launches, and the results, poisoned. `room`: rows that tensors have room for, where they may be more than those of the
        launch. `bound`: the rows that the host knows of, where they may be more. `count`: a tensor that has the number of rows
        when the kernel runs."""
        capacity = capacity or -(-max(rows, 1) // 4) * 4
        room = room or capacity
        bound = rows if bound is None else bound
        tensors = [t.tensor if isinstance(t, Raw) else self._operand(t, d, room) for t, d in zip(operands, self.description["operands"], strict=True)]
        results = [self._result(d, room) for d in self._tensors()]
        pointers = tensors + results
        batch = batch or Batch([(0, rows)] if rows else [])
        count = torch.tensor([rows], dtype=torch.int32, device="cuda") if count is None else count
        variant = variant or self.variant(bound, batch.one_token_each)

        def blocks_of(launch):
            if launch["grid"] == "rows":
                tiles = -(-bound // launch["row_tile"]) if launch["row_tile"] else 1
            else:
                tiles = len(batch.token_items if launch["grid"] == "token_items" else batch.tile_items)
            blocks = tiles * launch["column_tiles"]
            if launch["blocks_per_core"]:
                blocks = min(blocks, launch["blocks_per_core"] * self.library.multiprocessors)
            return -(-blocks // launch["cluster"]) * launch["cluster"]

        sizes = [t.numel() * t.element_size() for t in pointers]
        launches = Launches(self.library, variant, pointers, sizes, batch.step, count, capacity, blocks_of)
        launches.batch = batch
        return launches, results

    def __call__(self, *operands, rows: int, **options):
        """The results; of those with rows, the first `rows`. Scales of quantized rows come as they lie: [capacity, blocks] reshaped."""
        launches, results = self.prepare(*operands, rows=rows, **options)
        launches.run()
        torch.cuda.synchronize()
        self.library.check_workspace()
        return [t[:rows] if d["shape"][:1] == [-1] else t for t, d in zip(results, self._tensors())]

    def _tensors(self):
        """The results that a launch writes; a cache is its operand."""
        return [d for d in self.description["results"] if d and "shape" in d]

    def _operand(self, tensor, description, capacity):
        if "shape" in description and description["shape"][:1] == [-1]:
            tensor = with_room(tensor.to("cuda"), capacity)
        return tensor.to("cuda").contiguous()

    def _result(self, description, capacity):
        shape = [capacity if size == -1 else size for size in description["shape"]]
        return poisoned(shape, DTYPES[description["element"]])


class Library:
    def __init__(self, folder):
        folder = Path(folder)
        torch.cuda.init()
        torch.zeros(1, device="cuda")
        described = json.loads((folder / "kernels.json").read_text())
        self.multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count
        self.kernels = {kernel["name"]: Kernel(self, kernel) for kernel in described["kernels"]}
        self.token_items = described["token_items"]
        self.region_bytes = described["region_bytes"]
        self.workspace = torch.zeros(described["workspace_bytes"] + 256, dtype=torch.uint8, device="cuda")
        self._guard = described["workspace_bytes"]
        self._module = cuda_driver.Module((folder / "kernels.cubin").read_bytes())
        self._functions = {}

    def __getitem__(self, name: str) -> Kernel:
        return self.kernels[name]

    def function(self, launch):
        symbol = launch["symbol"]
        if symbol not in self._functions:
            self._functions[symbol] = self._module.function(symbol, launch["shared_bytes"])
        return self._functions[symbol]

    def encode(self, spec, tensor, size: int, capacity: int):
        width = {"bf16": 2, "f32": 4, "i32": 4}.get(spec["element"].lower(), 1)
        strides = [s or capacity * width for s in spec["strides"]]
        rows = capacity
        if 0 in spec["sizes"] and spec["sizes"].index(0) == len(spec["sizes"]) - 1 and strides:
            rows = size // strides[-1]
        return cuda_driver.tensor_map(
            spec["element"], tensor.data_ptr(), [s or rows for s in spec["sizes"]], strides, spec["box"], spec["swizzle_bytes"]
        )

    def check_workspace(self) -> None:
        assert not self.workspace[self._guard :].any(), "a kernel wrote past its workspace"


def compiled(name: str) -> Library:
    """What epigraph-compile-kernels wrote of kernels/NAME.mlir, in $EPIGRAPH_GPU_KERNELS or build/gpu."""
    return Library(Path(os.environ.get("EPIGRAPH_GPU_KERNELS", "build/gpu")) / name)


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    """||found - expected|| / ||expected||; NaN if anything is."""
    found, expected = found.double(), expected.double()
    scale = expected.norm().item()
    return ((found - expected).norm() / scale).item() if scale else found.norm().item()


def record(calls, repeats: int = 1, stream=None) -> torch.cuda.CUDAGraph:
    """A CUDA graph that makes `calls` (callables) in turn `repeats` times. What they use must outlive it. Unlike
    torch.cuda.graph this frees no memory on the way, which takes longer than most of what is measured."""
    stream = stream or torch.cuda.Stream()
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        graph.capture_begin()
        try:
            for _ in range(repeats):
                for one in calls:
                    one()
        finally:
            graph.capture_end()
    return graph


def replay_us(graph: torch.cuda.CUDAGraph) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    graph.replay()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end) * 1000


def time_us(calls, repeats: int = 100, rounds: int = 7) -> float:
    """Median time of one call in microseconds, in a CUDA graph that makes `calls` in turn, and that up to `repeats` times as
    long as all takes no more than about 4 ms."""
    torch.cuda.synchronize()
    with torch.cuda.stream(torch.cuda.Stream()):
        for one in calls:
            one()
    torch.cuda.synchronize()
    graph = record(calls)
    replay_us(graph)
    fitting = int(4000 / max(replay_us(graph), 1))
    repeats = max(1, min(repeats, fitting))
    if repeats > 1:
        graph = record(calls, repeats)
    times = [replay_us(graph) / (repeats * len(calls)) for _ in range(rounds + 2)]
    return statistics.median(times[2:])
