#pragma once

#include <cstddef>

namespace twofold {

// Activation functions of feed-forward layers, in place.

/// max(x, 0).
void relu(float* x, std::size_t n);
/// x / (1 + exp(-x)).
void silu(float* x, std::size_t n);
/// x Phi(x), Phi the normal distribution, to within 1e-6 (Hendrycks and Gimpel, arXiv 1606.08415).
void gelu(float* x, std::size_t n);
/// Its approximation x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
void gelu_tanh(float* x, std::size_t n);

}  // namespace twofold
