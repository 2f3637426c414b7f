"""Scales of the input channels; activations are divided by them, weights multiplied."""
import numpy as np
from layer import bf16
from rtn import groups


def smoothquant(w, x, alpha):
    """Xiao et al., arXiv 2211.10438, eq. 4."""
    return bf16(np.abs(x).max(axis=0) ** alpha / np.abs(w).max(axis=0) ** (1 - alpha))


def outlier_suppression(w, x, width):
    """Outlier Suppression+ (Wei et al., arXiv 2304.09145, eq. 5), scales only; the threshold by the noise of rounding
    weights and activations at the output."""
    a, best = np.abs(x).max(axis=0), (np.inf, None)
    for g in range(40):
        s = np.maximum(1, a / (a.max() * 0.9**g))
        weight_step = np.abs(w * s).max() / (2 ** (width - 1) - 1)
        activation_step = (a / s).max() / 127
        noise = len(w) * (weight_step**2 * (x**2).mean(axis=0) / s**2).sum() + activation_step**2 * ((w * s)**2).sum()
        if noise < best[0]:
            best = (noise, s)
    return bf16(best[1])


def awq(w, x, width, group):
    """AWQ (Lin et al., arXiv 2306.00978, eq. 4 and 5), the error with uncorrelated channels."""
    best = (np.inf, None)
    for g in range(20):
        s = np.abs(x).mean(axis=0) ** (g / 20)
        s = bf16(s / np.sqrt(s.min() * s.max()))
        error = ((groups(w * s, width, group) / s - w)**2 * (x**2).sum(axis=0)).sum()
        if error < best[0]:
            best = (error, s)
    return best[1]
