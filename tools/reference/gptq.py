"""GPTQ (Frantar et al., arXiv 2210.17323, algorithm 1), one column after the other, without blocks."""
import numpy as np
from layer import inverse_factor
from rtn import steps


def gptq(w, h, width, by_row):
    step = steps(w, width, by_row)
    levels = 2 ** (width - 1) - 1
    u = inverse_factor(h)
    w, q = w.copy(), np.zeros_like(w)
    for j in range(w.shape[1]):
        q[:, j] = np.clip(np.round(w[:, j] / step), -levels, levels)
        error = (w[:, j] - q[:, j] * step) / u[j, j]
        w[:, j + 1:] -= np.outer(error, u[j, j + 1:])
    return q, step
