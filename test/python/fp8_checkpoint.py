"""A bfloat16 checkpoint as DeepSeek ships FP8: each projection as e4m3 with one float32 scale for each
128x128 block, the last of which may be partial, and `quantization_config`.

The scale of a block is its largest magnitude over 448, the largest e4m3; values are rounded to nearest,
to even in a tie.
"""

import json
import shutil
import struct

import numpy as np

BLOCK = 128
QUANTIZATION = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8",
                "weight_block_size": [BLOCK, BLOCK]}


def read_tensors(folder):
    """name -> (dtype, shape, bytes) of all shards, in their order."""
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        (length,) = struct.unpack_from("<Q", raw)
        for name, entry in json.loads(raw[8 : 8 + length]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                data = raw[8 + length + begin : 8 + length + end]
                tensors[name] = (entry["dtype"], tuple(entry["shape"]), data)
    return tensors


def write_tensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            file.write(data)


def floats_of_bf16(data, shape):
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)


def e4m3_of_floats(values):
    """Bytes of the nearest e4m3, ties to even; magnitudes beyond 448 become 448."""
    magnitude = np.minimum(np.abs(values), np.float32(448))
    # The last place of a number is 2^-3 of its leading bit's, and never below 2^-9.
    exponent = np.maximum(np.frexp(magnitude)[1] - 1, -6)
    steps = np.rint(np.ldexp(magnitude, 3 - exponent)).astype(np.int32)  # 8 to 16; below 8: subnormal
    carried = steps == 16
    exponent, steps = exponent + carried, np.where(carried, 8, steps)
    code = np.where(steps >= 8, ((exponent + 7) << 3) + steps - 8, steps)
    return (code | np.where(np.signbit(values), 0x80, 0)).astype(np.uint8)


def quantize(weight):
    """(e4m3 bytes, scales) of a float32 matrix."""
    rows, columns = (-(-size // BLOCK) for size in weight.shape)
    padded = np.zeros((rows * BLOCK, columns * BLOCK), np.float32)
    padded[: weight.shape[0], : weight.shape[1]] = weight
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK)
    scales = np.maximum(np.abs(blocks).max(axis=(1, 3)) / np.float32(448), np.float32(1e-12))
    scaled = (blocks / scales[:, None, :, None]).reshape(padded.shape)
    return e4m3_of_floats(scaled[: weight.shape[0], : weight.shape[1]]), scales


def is_projection(name):
    """What DeepSeek quantizes: all projections but those of embedding, router, head and MTP's joint
    input."""
    return name.endswith("_proj.weight") and not name.endswith("eh_proj.weight") or \
        name.endswith("_proj_with_mqa.weight")


def quantize_checkpoint(source, folder):
    """Writes the checkpoint `source` to the new folder `folder`, in FP8."""
    folder.mkdir()
    for path in source.glob("*.json"):
        if not path.name.endswith(".index.json"):
            shutil.copy(path, folder)
    config = json.loads((source / "config.json").read_text())
    config["quantization_config"] = QUANTIZATION
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {}
    for name, (dtype, shape, data) in read_tensors(source).items():
        if not is_projection(name):
            tensors[name] = (dtype, shape, data)
            continue
        values, scales = quantize(floats_of_bf16(data, shape))
        tensors[name] = ("F8_E4M3", shape, values.tobytes())
        tensors[name + "_scale_inv"] = ("F32", scales.shape, scales.tobytes())
    # Wide elements first, so that each tensor is aligned to its own.
    width = {"F32": 4, "BF16": 2, "F8_E4M3": 1}
    ordered = sorted(tensors.items(), key=lambda item: -width[item[1][0]])
    write_tensors(folder / "model.safetensors", dict(ordered))
