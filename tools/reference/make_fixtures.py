"""Writes tests/compress/data/methods.safetensors: what every method of stage one makes of the layer of layer.py, in
float64 and from the papers' formulas. Needs NumPy.

usage: make_fixtures.py [OUT]"""
import json
import pathlib
import struct
import sys

import numpy as np

from entquant import entquant
from gptq import gptq
from layer import COLS, bf16, make_gradient, make_layer, second_moments
from llm_int8 import llm_int8
from pruners import dc, magnitude, pruner_zero, sparsegpt, wanda
from rtn import groups, rtn
from scalers import awq, outlier_suppression, smoothquant
from watersic import watersic
from zeroquant import zeroquant

w, x = make_layer()
h = second_moments(x)
tensors = {}


def add(name, q, scale, input_scale=None):
    tensors[name + ".q"] = q.astype(np.int8)
    tensors[name + ".scale"] = scale.astype(np.float32)
    if input_scale is not None:
        tensors[name + ".input_scale"] = input_scale.astype(np.float32)


add("rtn-tensor", *rtn(w, 8, False))
add("rtn-row-3", *rtn(w, 3, True))
s = smoothquant(w, x, 0.5)
add("smoothquant", *rtn(w * s, 8, False), s)
s = outlier_suppression(w, x, 8)
add("outlier-suppression", *rtn(w * s, 8, False), s)
add("gptq-4", *gptq(w, h, 4, True))
add("watersic", *watersic(w, h, 0.05))
add("entquant", *entquant(w, 0.02))
s = awq(w, x, 4, 32)
tensors["awq-32"] = groups(w * s, 4, 32) / s
tensors["llm-int8"] = llm_int8(w, x)
tensors["zeroquant"], bits = zeroquant(w, 128)
tensors["zeroquant.bits"] = np.array([bits])
# Pruned weights, quantized finely.
blocks = [(0, 32), (32, COLS)]  # the program cuts its blocks of 128 from the other end
for name, pruned in {"magnitude": magnitude(w, x, 0.4), "dc": dc(w, x, 0.4), "wanda": wanda(w, x, 0.4),
                     "pruner-zero": pruner_zero(w, make_gradient(), 0.4),
                     "sparsegpt": sparsegpt(w, h, 0.4, blocks)}.items():
    add(name, *rtn(pruned, 8, True))

out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                   pathlib.Path(__file__).parents[2] / "tests/compress/data/methods.safetensors")
header, data = {}, b""
for name, value in tensors.items():
    value = np.ascontiguousarray(value if value.dtype == np.int8 else value.astype(np.float32))
    header[name] = {"dtype": "I8" if value.dtype == np.int8 else "F32", "shape": list(value.shape),
                    "data_offsets": [len(data), len(data) + value.nbytes]}
    data += value.tobytes()
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
out.write_bytes(struct.pack("<Q", len(text)) + text + data)
print(f"{out}: {out.stat().st_size} bytes")
