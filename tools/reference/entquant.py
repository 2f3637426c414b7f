"""EntQuant (Putzky et al., arXiv 2601.22787): per row, the step of least relative error + lambda * mean |q|."""
import numpy as np


def entquant(w, weight):
    steps = []
    for row in w:
        grid = np.abs(row).max() / 127 * 2 ** (np.arange(7 * 24 + 1) / 24)
        q = np.round(row[None] / grid[:, None])
        cost = ((row - q * grid[:, None])**2).sum(axis=1) / (row**2).sum() + weight * np.abs(q).mean(axis=1)
        steps.append(grid[cost.argmin()])
    steps = np.array(steps)
    return np.round(w / steps[:, None]), steps
