#pragma once

#include <filesystem>

#include "compress/statistics.h"
#include "tensor/safetensors.h"

namespace twofold {

/// Saves calibration statistics as a safetensors file: F32 vectors `<linear>.abs_max`, `.l2_norm` and
/// `.mean_abs`, one value per input channel. Throws Error when the file exists; a file that was not finished
/// is removed.
class StatisticsFile {
 public:
  StatisticsFile(const std::filesystem::path& path, const ModelSpec& spec);
  ~StatisticsFile();
  StatisticsFile(const StatisticsFile&) = delete;
  StatisticsFile& operator=(const StatisticsFile&) = delete;

  void add(const LinearSpec& linear, const ChannelStatistics& statistics);
  void finish();

 private:
  std::filesystem::path path_;
  std::filesystem::path partial_;
  SafetensorsWriter writer_;
};

}  // namespace twofold
