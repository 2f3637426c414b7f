#include "compress/statistics_file.h"

#include <system_error>

#include "base/error.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr const char* kKinds[] = {"abs_max", "l2_norm", "mean_abs"};

fs::path partial_name(const fs::path& path) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(path, error))) fail("{}: already exists", path.string());
  fs::path partial = path;
  partial += ".partial";
  fs::remove(partial, error);  // left by a process that was killed
  return partial;
}

std::uint64_t header_bound(const ModelSpec& spec) {
  std::uint64_t bound = 0;
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) {
      for (const char* kind : kKinds)
        bound += SafetensorsWriter::header_bytes_bound(linear->name + "." + kind);
    }
  }
  return bound + 256;  // and the metadata
}

}  // namespace

StatisticsFile::StatisticsFile(const fs::path& path, const ModelSpec& spec)
    : path_(path), partial_(partial_name(path)), writer_(partial_, header_bound(spec)) {}

StatisticsFile::~StatisticsFile() {
  std::error_code ignored;
  fs::remove(partial_, ignored);
}

void StatisticsFile::add(const LinearSpec& linear, const ChannelStatistics& statistics) {
  const std::vector<float> values[] = {statistics.abs_max, statistics.l2_norm(), statistics.mean_abs()};
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(values[i].data());
    writer_.add(linear.name + "." + kKinds[i], DType::kF32, {linear.cols},
                {bytes, values[i].size() * sizeof(float)});
  }
}

void StatisticsFile::finish() {
  writer_.finish({{"format", "pt"}});
  fs::rename(partial_, path_);
}

}  // namespace twofold
