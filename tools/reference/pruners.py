"""Which weights become zero, and what the others become."""
import numpy as np
from layer import inverse_factor


def smallest(scores, sparsity):
    """True for the share of smallest scores of the whole array."""
    mask = np.zeros(scores.size, bool)
    mask[np.argsort(scores, axis=None, kind="stable")[:int(sparsity * scores.size)]] = True
    return mask.reshape(scores.shape)


def magnitude(w, x, sparsity):
    return np.where(smallest(np.abs(w), sparsity), 0, w)


def dc(w, x, sparsity):
    """Wang et al., arXiv 2502.15443, eq. 4."""
    return np.where(smallest(np.abs(w) * np.abs(x).max(axis=0), sparsity), 0, w)


def wanda(w, x, sparsity):
    """Sun et al., arXiv 2306.11695, eq. 1: compared inside each row."""
    scores = np.abs(w) * np.sqrt((x**2).sum(axis=0))
    return np.where(np.stack([smallest(row, sparsity) for row in scores]), 0, w)


def pruner_zero(w, g, sparsity):
    """Dong et al., arXiv 2406.02924: W^2 times the gradient's magnitude, scaled to [0, 1]; compared inside each row."""
    g = np.abs(g)
    scores = w**2 * (g - g.min()) / (g.max() - g.min())
    return np.where(np.stack([smallest(row, sparsity) for row in scores]), 0, w)


def sparsegpt(w, h, sparsity, blocks):
    """Frantar and Alistarh, arXiv 2301.00774, algorithm 1; `blocks`: where the blocks of columns begin and end."""
    u = inverse_factor(h)
    w = w.copy()
    for begin, end in blocks:
        mask = smallest(w[:, begin:end]**2 / np.diag(u)[begin:end]**2, sparsity)
        for j in range(begin, end):
            kept = np.where(mask[:, j - begin], 0, w[:, j])
            error = (w[:, j] - kept) / u[j, j]
            w[:, j] = kept
            w[:, j + 1:] -= np.outer(error, u[j, j + 1:])
    return w
