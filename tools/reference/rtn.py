"""Round to nearest, symmetric, the largest magnitude sets the step."""
import numpy as np


def steps(w, width, by_row):
    largest = np.abs(w).max(axis=1) if by_row else np.abs(w).max(keepdims=True).reshape(1)
    return largest / (2 ** (width - 1) - 1)


def rtn(w, width, by_row):
    step = steps(w, width, by_row)
    return np.round(w / step[:, None]), step


def groups(w, width, group):
    """Dequantized, with one step for each group of inputs of a row."""
    out = np.empty_like(w)
    for first in range(0, w.shape[1], group):
        part = w[:, first:first + group]
        q, step = rtn(part, width, True)
        out[:, first:first + group] = q * step[:, None]
    return out
