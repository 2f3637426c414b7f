#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "runtime/residency.h"

namespace twofold {

/// --memory, --buffer and --plan of the commands that compute with a model.
struct MemoryFlags {
  std::string memory;
  std::string buffer;
  std::string plan;

  void add_to(CLI::App& command);
  bool given() const { return !memory.empty(); }
  /// Throws UsageError for a size that is none, and for a buffer or a plan without a budget; Error for a plan
  /// file that is none.
  MemoryOptions options(const MemoryUse& use) const;
};

/// One line that says how a budget is spent.
std::string describe(const MemoryReport& report);

}  // namespace twofold
