"""WaterSIC (Lifar et al., arXiv 2603.04956): GPTQ with a step per column in proportion to U_jj."""
import numpy as np
from layer import bf16, inverse_factor


def watersic(w, h, output_step):
    """`output_step`: step_j / U_jj. Returns integers, the scale of the tensor, the input scales."""
    u = inverse_factor(h)
    diagonal = 1 / np.diag(u)
    mean = np.exp(np.log(diagonal).mean())
    input_scale = bf16(diagonal / mean)
    scale = output_step / mean
    w, q = w.copy(), np.zeros_like(w)
    for j in range(w.shape[1]):
        step = scale / input_scale[j]
        q[:, j] = np.clip(np.round(w[:, j] / step), -127, 127)
        error = (w[:, j] - q[:, j] * step) / u[j, j]
        w[:, j + 1:] -= np.outer(error, u[j, j + 1:])
    return q, np.array([scale]), input_scale
