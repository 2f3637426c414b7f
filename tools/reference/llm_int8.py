"""LLM.int8() (Dettmers et al., arXiv 2208.07339): outlier channels in 16 bits, the others INT8 per row."""
import numpy as np
from layer import bf16
from rtn import rtn


def llm_int8(w, x):
    outlier = np.abs(x).max(axis=0) >= 6
    out = bf16(w)
    q, step = rtn(w[:, ~outlier], 8, True)
    out[:, ~outlier] = q * step[:, None]
    return out
