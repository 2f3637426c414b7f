#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace twofold {

/// -t, --threads and --cpus of the commands that compute with a model.
struct ThreadFlags {
  int threads = 0;
  std::string cpus;

  void add_to(CLI::App& command);
  /// Throws UsageError for a list that is none, or shorter than `threads`.
  std::vector<int> cpu_list() const;
};

}  // namespace twofold
