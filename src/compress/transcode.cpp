#include "compress/transcode.h"

#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/aligned.h"
#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "format/container.h"
#include "format/shard.h"

namespace twofold {

namespace {

std::vector<std::string> weight_names(const Container& container) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : container.coded()) names.push_back(name);
  for (const auto& [name, tensor] : container.plain()) names.push_back(name);
  return names;
}

void check_names(const CodecPlan& plan, const Container& container) {
  for (const auto& [name, codec] : plan.tensors) {
    if (!container.coded().contains(name)) {
      fail("{}: \"tensors\": {}: {} has no coded tensor of this name", plan.source, json_quote(name),
           container.directory().string());
    }
  }
}

/// One of the two.
struct Stored {
  const CodedTensor* coded = nullptr;
  const TensorView* plain = nullptr;
};

/// All tensors as they lie in their files, which is the order in which a pass uses them.
std::vector<Stored> in_file_order(const Container& container) {
  std::map<std::pair<std::string, const std::uint8_t*>, std::vector<Stored>> ordered;
  for (const auto& [name, tensor] : container.coded())
    ordered[{tensor.file, tensor.data.data()}].push_back({&tensor, nullptr});
  for (const auto& [name, tensor] : container.plain())
    ordered[{std::string(tensor.file), tensor.bytes.data()}].push_back({nullptr, &tensor});
  std::vector<Stored> all;
  for (const auto& [place, tensors] : ordered) all.insert(all.end(), tensors.begin(), tensors.end());
  return all;
}

class Transcoder {
 public:
  Transcoder(const TranscodeOptions& options, const Container& container, ContainerWriter& writer,
             ThreadPool& pool)
      : options_(options),
        container_(container),
        writer_(writer),
        pool_(pool),
        progress_("Transcoding", work(container)) {}

  TranscodeReport run() {
    container_.verify(
        [&](std::uint64_t bytes) {
          check_interrupt();
          progress_.advance(bytes);
        },
        &pool_);
    for (const Stored& stored : in_file_order(container_)) {
      check_interrupt();
      if (stored.coded != nullptr) {
        add_coded(*stored.coded);
      } else {
        writer_.add_plain(*stored.plain);
        container_.checkpoint().release(*stored.plain);
        progress_.advance(stored.plain->bytes.size(), stored.plain->name);
      }
    }
    std::set<std::string> weights = {kShardList};
    for (const auto& file : container_.checkpoint().files())
      weights.insert(std::filesystem::path(file->path()).filename().string());
    for (const auto& [name, file] : container_.files()) {
      if (!weights.contains(name)) writer_.copy_file(container_.directory() / name);
    }
    Json recipe = container_.recipe();
    recipe["codec"] = codec_summary(codecs_);
    writer_.commit(container_.config(), recipe);
    return report_;
  }

 private:
  /// Steps of progress: bytes verified, then weights and bytes written.
  static std::uint64_t work(const Container& container) {
    std::uint64_t total = 0;
    for (const auto& [name, file] : container.files()) total += file.bytes;
    for (const auto& [name, tensor] : container.coded())
      total += static_cast<std::uint64_t>(tensor.rows) * static_cast<std::uint64_t>(tensor.cols);
    for (const auto& [name, tensor] : container.plain()) total += tensor.bytes.size();
    return total;
  }

  void add_coded(const CodedTensor& tensor) {
    const auto cols = static_cast<std::size_t>(tensor.cols);
    weights_.resize(static_cast<std::size_t>(tensor.rows) * cols);
    pool_.run(static_cast<std::size_t>(tensor.chunks()), [&](std::size_t begin, std::size_t end, int) {
      for (auto chunk = static_cast<std::int64_t>(begin); chunk < static_cast<std::int64_t>(end); ++chunk) {
        const auto first = static_cast<std::size_t>(tensor.chunk_begin(chunk)) * cols;
        const auto size = static_cast<std::size_t>(tensor.chunk_rows(chunk)) * cols;
        tensor.decode_chunk(chunk, std::span(weights_).subspan(first, size));
      }
    });
    const Codec& codec = options_.plan.codec_of(tensor.name);
    CodedTensorParts parts;
    parts.name = tensor.name;
    parts.rows = tensor.rows;
    parts.cols = tensor.cols;
    parts.scale = tensor.scale;
    parts.input_scale = tensor.input_scale;
    parts.activation_step = tensor.activation_step;
    report_.bytes_after += writer_.add_coded(parts, weights_, codec, pool_);
    report_.bytes_before += tensor.stored_bytes;
    report_.weights += weights_.size();
    ++report_.coded_tensors;
    codecs_.emplace(codec.name());
    TensorView pages;
    pages.bytes = tensor.data;
    pages.file = tensor.file;
    container_.checkpoint().release(pages);
    progress_.advance(weights_.size(), tensor.name);
  }

  const TranscodeOptions& options_;
  const Container& container_;
  ContainerWriter& writer_;
  ThreadPool& pool_;
  Progress progress_;
  AlignedVector<std::int8_t> weights_;  // the tensor at hand
  std::set<std::string> codecs_;
  TranscodeReport report_;
};

}  // namespace

TranscodeReport transcode_model(const TranscodeOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (!Container::is_container(options.source)) {
    fail("{}: not a Twofold directory: compress it first", options.source.string());
  }
  const Container container(options.source);
  check_names(options.plan, container);
  ContainerWriter writer(options.destination, weight_names(container), options.max_shard_bytes);
  ThreadPool pool(options.threads);
  TranscodeReport report = Transcoder(options, container, writer, pool).run();
  report.source_bytes = directory_bytes(options.source);
  report.stored_bytes = directory_bytes(options.destination);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace twofold
