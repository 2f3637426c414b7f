#include "eval/lab/measure.h"

#include <array>
#include <chrono>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "codec/codec_bench.h"
#include "compress/compress.h"
#include "eval/model_weights.h"
#include "eval/size_report.h"

namespace twofold {

namespace fs = std::filesystem;

struct LabBench::TaskFile {
  std::string name;
  Task task;
  std::vector<TaskPrompt> prompts;
  TaskResult original;
};

namespace {

/// Removes a directory when it goes.
class Scratch {
 public:
  explicit Scratch(fs::path path) : path_(std::move(path)) { remove(); }
  ~Scratch() { remove(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  void remove() const {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path path_;
};

/// How many weights have each value from -127 to 127.
Json histogram(const BenchSource& source) {
  std::array<std::uint64_t, 256> counts{};
  source([&](const BenchMatrix& matrix) {
    for (const std::int8_t q : matrix.weights) ++counts[static_cast<std::size_t>(q + 128)];
  });
  Json json = Json::array();
  for (std::size_t i = 1; i < counts.size(); ++i) json.push_back(counts[i]);
  return json;
}

/// The integers of a Twofold directory's decoder layers.
BenchSource layer_weights(const fs::path& directory) {
  return [directory](const std::function<void(const BenchMatrix&)>& visit) {
    const Container container(directory);
    const ModelSpec spec = load_model_spec(directory);
    AlignedVector<std::int8_t> weights;
    for (const LayerSpec& layer : spec.layers) {
      for (const LinearSpec* linear : layer.linears()) {
        const auto it = container.coded().find(linear->weight());
        if (it == container.coded().end()) continue;
        const CodedTensor& tensor = it->second;
        for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
          weights.resize(static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols));
          tensor.decode_chunk(chunk, weights);
          visit({weights, tensor.cols});
        }
      }
    }
  };
}

/// Sizes of the decoder's linear layers, one entry each.
Json layer_sizes(const fs::path& directory) {
  const ModelSpec spec = load_model_spec(directory);
  std::map<std::string, TensorSize> sizes;
  for (TensorSize& size : measure_sizes(directory).tensors) sizes.emplace(size.name, std::move(size));
  Json layers = Json::array();
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    for (const LinearSpec* linear : spec.layers[i].linears()) {
      const auto it = sizes.find(linear->weight());
      if (it == sizes.end() || !it->second.coded) continue;
      const TensorSize& size = it->second;
      const std::size_t dot = linear->name.rfind('.');
      layers.push_back({{"layer", i},
                        {"kind", linear->name.substr(dot == std::string::npos ? 0 : dot + 1)},
                        {"weights", size.elements},
                        {"bits", size.bits_per_weight},
                        {"cr", size.cr},
                        {"entropy", size.entropy},
                        {"zeros", size.zeros}});
    }
  }
  return layers;
}

void add_means(const Json& layers, Json& result) {
  double weights = 0;
  double entropy = 0;
  double zeros = 0;
  for (const Json& layer : layers) {
    const double n = layer.at("weights").get<double>();
    weights += n;
    entropy += n * layer.at("entropy").get<double>();
    zeros += n * layer.at("zeros").get<double>();
  }
  if (weights == 0) return;
  result["entropy"] = entropy / weights;
  result["zeros"] = zeros / weights;
}

Json task_json(const TaskResult& result) {
  Json json = {{"items", result.outcomes.size()}, {"truncated", result.truncated}, {"chance", result.chance}};
  for (const TaskMetric& metric : result.metrics) {
    json[metric.name] = metric.value;
    json[metric.name + "_error"] = metric.error;
  }
  return json;
}

}  // namespace

LabBench::LabBench(const LabOptions& options, fs::path scratch)
    : options_(options), scratch_(std::move(scratch)) {}

LabBench::~LabBench() = default;

void LabBench::load_original() {
  if (model_ != nullptr) return;
  tokenizer_ = load_tokenizer(options_.model);
  text_ = tokenizer_->encode(read_file(options_.text));
  auto model = std::make_unique<Model>(options_.model, Model::Options{.threads = options_.threads});
  for (const fs::path& file : options_.tasks) {
    auto task = std::make_unique<TaskFile>();
    task->task = load_task(std::array{file});
    task->name = file.stem().string();
    task->prompts = make_prompts(task->task, nullptr, {.limit = options_.task_limit});
    task->original = run_task(*model, *tokenizer_, task->task, task->prompts, {}, [](std::size_t) {});
    tasks_.push_back(std::move(task));
  }
  model_ = std::move(model);
}

Json LabBench::original() {
  load_original();
  Json result;
  const PerplexityResult ppl =
      evaluate_perplexity(*model_, nullptr, text_, options_.perplexity, [](std::int64_t, std::int64_t) {});
  result["perplexity"] = ppl.perplexity;
  result["perplexity_error"] = ppl.error;
  result["tokens"] = ppl.tokens;
  result["context"] = ppl.context;
  result["bytes"] = directory_bytes(options_.model);
  result["tasks"] = Json::object();
  for (const auto& task : tasks_) result["tasks"][task->name] = task_json(task->original);
  result["histogram"] = histogram(int8_weights(options_.model));
  return result;
}

void LabBench::compress(const Recipe& recipe, const fs::path& directory, Json& result) const {
  CompressOptions options;
  options.source = options_.model;
  options.destination = directory;
  options.recipe = recipe;
  options.calibration = options_.calibration;
  options.threads = options_.threads;
  const CompressReport report = compress_model(options);
  const auto weights = static_cast<double>(report.linear_weights);
  const auto bytes = static_cast<double>(report.linear_bytes);
  result["linear_weights"] = report.linear_weights;
  result["linear_bytes"] = report.linear_bytes;
  result["bits_per_weight"] = 8 * bytes / weights;
  result["cr"] = weights / bytes;
  result["stored_bytes"] = report.stored_bytes;
}

Json LabBench::quality(const fs::path& directory) {
  load_original();
  Model model(directory, {.threads = options_.threads});
  const PerplexityResult ppl = evaluate_perplexity(
      model, model_.get(), text_, options_.perplexity, [](std::int64_t, std::int64_t) {}, &states_);
  const Comparison& comparison = *ppl.comparison;
  Json result = {{"perplexity", ppl.perplexity}, {"perplexity_error", ppl.error},
                 {"kl", comparison.kl_mean},     {"kl_error", comparison.kl_error},
                 {"kl_p99", comparison.kl_p99},  {"top1", comparison.top1_agreement}};
  for (const auto& task : tasks_) {
    const TaskResult found = run_task(model, *tokenizer_, task->task, task->prompts, {}, [](std::size_t) {});
    Json json = task_json(found);
    for (const MetricDifference& d : paired_bootstrap(found, task->original, 2000)) {
      json["difference"][d.name] = {{"value", d.value}, {"error", d.error}};
    }
    result["tasks"][task->name] = std::move(json);
  }
  return result;
}

Json LabBench::coders(const LabPoint& point) {
  const Scratch directory(scratch_);
  Json ignored;
  compress(point.recipe, directory.path(), ignored);
  std::vector<CodecFigures> figures =
      measure_codecs(codecs(), layer_weights(directory.path()), {.repetitions = 3});
  double raw = 0;
  for (const CodecFigures& f : figures)
    if (f.name == "raw") raw = f.decode_bytes_per_second;
  Json result;
  for (const CodecFigures& f : figures) {
    result["entropy"] = f.entropy_bits_per_weight;
    result["coders"].push_back({{"codec", f.name},
                                {"cr", f.compression_ratio()},
                                {"bits_per_weight", f.bits_per_weight()},
                                {"encode", f.encode_bytes_per_second / 1e9},
                                {"decode", f.decode_bytes_per_second / 1e9},
                                {"decode_to_raw", raw > 0 ? f.decode_bytes_per_second / raw : 0}});
  }
  return result;
}

Json LabBench::point(const LabPoint& point) {
  const auto start = std::chrono::steady_clock::now();
  Json result;
  if (point.coders) {
    result = coders(point);
  } else {
    const Scratch directory(scratch_);
    compress(point.recipe, directory.path(), result);
    result["layers"] = layer_sizes(directory.path());
    add_means(result["layers"], result);
    result["histogram"] = histogram(layer_weights(directory.path()));
    result.update(quality(directory.path()));
  }
  result["recipe"] = point.recipe.to_json();
  result["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace twofold
