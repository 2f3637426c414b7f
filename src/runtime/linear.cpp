#include "runtime/linear.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/json.h"
#include "runtime/weight_stream.h"

namespace twofold {

ActivationMode parse_activation_mode(std::string_view name) {
  for (ActivationMode mode :
       {ActivationMode::kPerToken, ActivationMode::kPerTensorStatic, ActivationMode::kNone}) {
    if (activation_mode_name(mode) == name) return mode;
  }
  fail("activations: expected per-token, per-tensor-static or none, found {}", json_quote(name));
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

namespace {

constexpr std::size_t kMaxGroup = 8;

/// Inputs of a group of layers: those that prepare them alike share one.
struct GroupInputs {
  LinearInput inputs[kMaxGroup];
  std::size_t of[kMaxGroup] = {};

  GroupInputs(std::span<const Linear* const> linears, const float* x, std::int64_t tokens, ThreadPool& pool) {
    for (std::size_t i = 0; i < linears.size(); ++i) {
      std::size_t twin = 0;
      while (twin < i && !linears[i]->same_input(*linears[twin])) ++twin;
      of[i] = twin;
      if (twin == i) linears[i]->prepare(x, tokens, inputs[i], pool);
    }
  }
};

}  // namespace

void multiply_group(std::span<const Linear* const> linears, const float* x, std::int64_t tokens,
                    std::span<float* const> y, Workspace& workspace) {
  const auto start = std::chrono::steady_clock::now();
  if (linears.size() > kMaxGroup) fail("multiply_group: at most {} layers can share an input", kMaxGroup);
  const GroupInputs group(linears, x, tokens, workspace.pool());
  const auto multiply = [&](std::size_t member, std::int64_t begin, std::int64_t end, const StoredPart& part,
                            int worker) {
    const Linear& linear = *linears[member];
    linear.multiply_units(begin, end, part, group.inputs[group.of[member]], tokens, y[member],
                          static_cast<std::size_t>(linear.rows()), workspace.worker(worker));
  };

  // What is computed at once is the same whatever the number of threads.
  const auto pieces = [&](const Linear& linear) {
    const std::int64_t size = linear.units_at_once(tokens);
    return static_cast<std::size_t>((linear.units() + size - 1) / size);
  };
  std::size_t total = 0;  // pieces of those in memory
  for (const Linear* linear : linears) total += linear->streamed() ? 0 : pieces(*linear);
  workspace.pool().run(total, [&](std::size_t begin, std::size_t end, int worker) {
    // The same share of each, for one codec may take ten times as long as another.
    for (std::size_t i = 0; i < linears.size(); ++i) {
      if (linears[i]->streamed()) continue;
      const std::size_t all = pieces(*linears[i]);
      const std::int64_t size = linears[i]->units_at_once(tokens);
      for (std::size_t piece = all * begin / total; piece < all * end / total; ++piece) {
        const std::int64_t first = static_cast<std::int64_t>(piece) * size;
        multiply(i, first, std::min(first + size, linears[i]->units()), linears[i]->placed(), worker);
      }
    }
  });
  for (std::size_t i = 0; i < linears.size(); ++i) {
    if (!linears[i]->streamed()) continue;
    for (bool first = true, last = false; !last; first = false) {
      const WeightStream::Block block =
          first ? workspace.stream->take_first(*linears[i]) : workspace.stream->take_next(*linears[i]);
      const auto units = static_cast<std::size_t>(block.last_unit - block.first_unit);
      workspace.pool().run(units, [&](std::size_t begin, std::size_t end, int worker) {
        for (std::size_t unit = begin; unit < end; ++unit) {
          const std::int64_t at = block.first_unit + static_cast<std::int64_t>(unit);
          multiply(i, at, at + 1, block.part, worker);
        }
      });
      last = block.last;
    }
  }
  workspace.linear_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace twofold
