#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/calibration_text.h"
#include "eval/perplexity.h"

namespace twofold {

struct LabOptions {
  std::filesystem::path model;      // an original
  std::filesystem::path out;        // made where it is missing; a run goes on where one stopped
  std::vector<std::string> suites;  // "all": every one
  CalibrationOptions calibration;
  std::filesystem::path text;  // for perplexity and KL divergence
  PerplexityOptions perplexity;
  std::vector<std::filesystem::path> tasks;  // task files
  std::int64_t task_limit = 0;               // first items of each; 0: all
  std::optional<double> search;              // instead of suites: the best pair at this rate
  int threads = 0;
};

struct LabReport {
  std::size_t points = 0;    // of all suites
  std::size_t measured = 0;  // in this run; the others had been before
  std::filesystem::path html, csv, json;
};

/// Measures every point of the suites, one after the other, and writes results.json, results.csv and
/// report.html into `out`. A point's result is a file of its own in `out`/points, named by a hash of the
/// recipe, the model, the data and the program's version, written at once: after an interruption what is
/// there is not measured again. A compressed model is removed when it has been measured.
LabReport run_lab(const LabOptions& options);

}  // namespace twofold
