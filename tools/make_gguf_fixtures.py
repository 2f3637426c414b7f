"""Blocks of GGML's quantized types and their values, as the gguf package computes them.

    pip install -r tools/requirements-gguf.txt
    python tools/make_gguf_fixtures.py

Writes tests/tensor/data/gguf_blocks.safetensors: for every type a tensor NAME.bytes (random blocks with steps of
ordinary size) and NAME.values (F32).
"""

import json
import pathlib
import struct

import gguf
import numpy as np

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
# Where the binary16 steps stand in a block, in bytes.
STEPS = {"Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
         "Q4_1": [0, 2], "Q5_1": [0, 2]}
ELEMENTS = 512


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        raw = array.tobytes()
        dtype = {np.dtype(np.uint8): "U8", np.dtype(np.float32): "F32"}[array.dtype]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    rng = np.random.default_rng(1)
    tensors = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        block, width = gguf.GGML_QUANT_SIZES[kind]
        blocks = rng.integers(0, 256, (ELEMENTS // block, width), dtype=np.uint8)
        for offset in STEPS.get(name, [0]):
            steps = (rng.uniform(0.01, 1, (len(blocks), 1)) * rng.choice([-1, 1], (len(blocks), 1)))
            blocks[:, offset:offset + 2] = steps.astype(np.float16).view(np.uint8)
        tensors[f"{name}.bytes"] = blocks.reshape(-1)
        tensors[f"{name}.values"] = gguf.quants.dequantize(blocks, kind).astype(np.float32).reshape(-1)
    root = pathlib.Path(__file__).resolve().parent.parent
    write_safetensors(root / "tests/tensor/data/gguf_blocks.safetensors", tensors)


main()
