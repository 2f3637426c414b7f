#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "eval/lab/lab.h"
#include "eval/lab/suites.h"
#include "eval/task_run.h"

namespace twofold {

/// Measures points of one model on one set of data. The original is loaded, and what it makes of the data is
/// computed, when the first point asks for it.
class LabBench {
 public:
  /// `options.calibration.source` is a file here. `scratch` is for compressed models.
  LabBench(const LabOptions& options, std::filesystem::path scratch);
  ~LabBench();

  /// The original: perplexity, scores, histogram of its weights as plain INT8.
  Json original();
  /// A recipe: sizes, perplexity, divergence, scores beside the original's; or the codecs' figures.
  Json point(const LabPoint& point);

 private:
  struct TaskFile;
  void load_original();
  Json quality(const std::filesystem::path& directory);
  Json coders(const LabPoint& point);
  void compress(const Recipe& recipe, const std::filesystem::path& directory, Json& result) const;

  const LabOptions& options_;
  std::filesystem::path scratch_;
  std::unique_ptr<Model> model_;  // the original
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<TokenId> text_;
  std::vector<std::unique_ptr<TaskFile>> tasks_;
  ReferenceStates states_;
};

}  // namespace twofold
