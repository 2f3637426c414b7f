#include "runtime/linear.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace twofold {

ActivationMode parse_activation_mode(std::string_view name) {
  for (ActivationMode mode :
       {ActivationMode::kPerToken, ActivationMode::kPerTensorStatic, ActivationMode::kNone}) {
    if (activation_mode_name(mode) == name) return mode;
  }
  fail("activations: expected per-token, per-tensor-static or none, found \"{}\"", name);
}

std::string_view activation_mode_name(ActivationMode mode) {
  switch (mode) {
    case ActivationMode::kPerTensorStatic:
      return "per-tensor-static";
    case ActivationMode::kNone:
      return "none";
    case ActivationMode::kPerToken:
      break;
  }
  return "per-token";
}

void multiply_group(std::span<const Linear* const> linears, const float* x, std::int64_t tokens,
                    std::span<float* const> y, Workspace& workspace) {
  const auto start = std::chrono::steady_clock::now();
  constexpr std::size_t kMaxGroup = 8;
  if (linears.size() > kMaxGroup) fail("multiply_group: at most {} layers can share an input", kMaxGroup);
  LinearInput inputs[kMaxGroup];
  std::size_t input_of[kMaxGroup] = {};
  std::size_t first_unit[kMaxGroup + 1] = {};
  for (std::size_t i = 0; i < linears.size(); ++i) {
    std::size_t twin = 0;
    while (twin < i && !linears[i]->same_input(*linears[twin])) ++twin;
    input_of[i] = twin;
    if (twin == i) linears[i]->prepare(x, tokens, inputs[i], workspace.pool());
    first_unit[i + 1] = first_unit[i] + static_cast<std::size_t>(linears[i]->units());
  }
  workspace.pool().run(first_unit[linears.size()], [&](std::size_t begin, std::size_t end, int worker) {
    std::size_t member = 0;
    for (std::size_t unit = begin; unit < end; ++unit) {
      while (unit >= first_unit[member + 1]) ++member;
      const Linear& linear = *linears[member];
      linear.multiply(static_cast<std::int64_t>(unit - first_unit[member]), inputs[input_of[member]], tokens,
                      y[member], static_cast<std::size_t>(linear.rows()), workspace.worker(worker));
    }
  });
  workspace.linear_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace twofold
