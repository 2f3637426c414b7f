"""ZeroQuant's weights (Yao et al., arXiv 2206.01861): symmetric INT8, each group of neighbouring weights with a scale of its
own. A group is `group` inputs of one output, the last of a row may be shorter."""
import numpy as np


def zeroquant(w, group):
    """Dequantized weights, and the bits they take: the entropy of the integers and 16 for every scale."""
    out = np.zeros_like(w)
    integers, scales = [], 0
    for row, values in enumerate(w):
        for first in range(0, len(values), group):
            part = values[first:first + group]
            scale = 127 / np.abs(part).max()
            q = np.rint(part * scale)
            out[row, first:first + group] = q / scale
            integers.append(q)
            scales += 1
    _, counts = np.unique(np.concatenate(integers), return_counts=True)
    p = counts / counts.sum()
    return out, -(p * np.log2(p)).sum() * w.size + 16 * scales
