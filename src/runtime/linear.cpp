#include "runtime/linear.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "runtime/weight_stream.h"

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
  const auto multiply = [&](std::size_t member, std::int64_t unit, const StoredPart& part, int worker) {
    const Linear& linear = *linears[member];
    linear.multiply(unit, part, group.inputs[group.of[member]], tokens, y[member],
                    static_cast<std::size_t>(linear.rows()), workspace.worker(worker));
  };

  std::size_t total = 0;  // units of those in memory
  for (const Linear* linear : linears)
    total += linear->streamed() ? 0 : static_cast<std::size_t>(linear->units());
  workspace.pool().run(total, [&](std::size_t begin, std::size_t end, int worker) {
    // The same share of each, for one codec may take ten times as long as another.
    for (std::size_t i = 0; i < linears.size(); ++i) {
      if (linears[i]->streamed()) continue;
      const auto units = static_cast<std::size_t>(linears[i]->units());
      for (std::size_t unit = units * begin / total; unit < units * end / total; ++unit)
        multiply(i, static_cast<std::int64_t>(unit), linears[i]->placed(), worker);
    }
  });
  for (std::size_t i = 0; i < linears.size(); ++i) {
    if (!linears[i]->streamed()) continue;
    for (bool first = true, last = false; !last; first = false) {
      const WeightStream::Block block =
          first ? workspace.stream->take_first(*linears[i]) : workspace.stream->take_next(*linears[i]);
      const auto units = static_cast<std::size_t>(block.last_unit - block.first_unit);
      workspace.pool().run(units, [&](std::size_t begin, std::size_t end, int worker) {
        for (std::size_t unit = begin; unit < end; ++unit)
          multiply(i, block.first_unit + static_cast<std::int64_t>(unit), block.part, worker);
      });
      last = block.last;
    }
  }
  workspace.linear_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace twofold
