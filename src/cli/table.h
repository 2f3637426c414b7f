#pragma once

#include <string>
#include <vector>

namespace twofold {

/// A table of text. Columns are as wide as their widest cell; the first is aligned left, others right.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace twofold
