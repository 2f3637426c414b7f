"""The random layer that all references and tests/compress/methods_test.cpp work on: weights W [12, 160] and inputs
X [256, 160] whose channels differ in size and go along with one another. Numbers come from SplitMix64, so that the
test makes the same ones."""
import numpy as np

ROWS, COLS, TOKENS = 12, 160, 256


class Random:
    def __init__(self, seed):
        self.state = seed

    def uniform(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return ((z ^ (z >> 31)) >> 11) * 2.0**-53

    def gaussian(self):
        return float(np.float32(sum(self.uniform() for _ in range(12)) - 6))


def make_layer():
    random = Random(7)
    w = np.array([[random.gaussian() * 0.05 for _ in range(COLS)] for _ in range(ROWS)], np.float32)
    spread = [np.exp(random.gaussian()) for _ in range(COLS)]
    x = np.empty((TOKENS, COLS), np.float32)
    for t in range(TOKENS):
        common = random.gaussian()
        for j in range(COLS):
            x[t, j] = spread[j] * (random.gaussian() + 0.7 * common)
    return w.astype(np.float64), x.astype(np.float64)


def make_gradient():
    """Magnitudes of gradients, [ROWS, COLS]."""
    random = Random(8)
    return np.abs([[random.gaussian() for _ in range(COLS)] for _ in range(ROWS)])


def bf16(values):
    """Rounded to BF16, to nearest even."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) << 16
    return rounded.astype(np.uint32).view(np.float32).astype(np.float64)


def second_moments(x, damping=0.01):
    h = x.T @ x / len(x)
    return h + damping * np.diag(h).mean() * np.eye(len(h))


def inverse_factor(h):
    """U upper triangular with H^-1 = U^T U, as GPTQ and SparseGPT have it."""
    return np.linalg.cholesky(np.linalg.inv(h)).T
