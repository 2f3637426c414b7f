#pragma once

// The tiny models of all architectures, each with what the reference implementation makes of it.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

namespace twofold::testing {

inline std::filesystem::path architecture(const std::string& name) {
  return std::filesystem::path(TWOFOLD_SOURCE_DIR) / "tests/runtime/data/architectures" / name;
}

/// Values of a suite's parameter: the names of their directories.
inline std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(architecture(""))) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Such a name as a test's may be.
inline std::string architecture_test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace twofold::testing
