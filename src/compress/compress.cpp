#include "compress/compress.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compress/calibration_run.h"
#include "compress/stage_one.h"
#include "compress/statistics_file.h"
#include "model/gguf_model.h"
#include "tensor/tensor_floats.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

/// Files beside the weights that belong to the model: configuration, tokenizer, licence, chat template.
std::vector<fs::path> companion_files(const fs::path& directory) {
  static const std::set<std::string> weights = {".safetensors", ".bin", ".pt",      ".pth",
                                                ".gguf",        ".h5",  ".msgpack", ".onnx"};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name.starts_with(".") || name == "config.json") continue;
    if (weights.contains(entry.path().extension().string()) || name.ends_with(".index.json")) continue;
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Every tensor to store. A head beside tied embeddings is a copy that nothing reads, and so are the masks
/// and tables of old checkpoints.
std::vector<std::string> tensor_names(const Model& model) {
  const ModelSpec& spec = model.spec();
  std::set<std::string> used;
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) used.insert(linear->name + ".bias");
  }
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.checkpoint().tensors()) {
    if (spec.tied_embeddings && name == spec.untied_head + ".weight" && name != spec.embedding) continue;
    if (is_buffer(name) && !used.contains(name)) continue;
    names.push_back(name);
  }
  return names;
}

void check_names(const CodecPlan& plan, const std::vector<std::string>& names, const fs::path& source) {
  const std::set<std::string> known(names.begin(), names.end());
  for (const auto& [name, codec] : plan.tensors) {
    if (!known.contains(name)) {
      fail("{}: \"tensors\": {}: {} has no tensor of this name", plan.source, json_quote(name),
           source.string());
    }
  }
}

class Compressor {
 public:
  Compressor(const CompressOptions& options, Model& model, ContainerWriter& writer,
             const CalibrationText& text, Recipe recipe)
      : options_(options),
        recipe_(std::move(recipe)),
        model_(model),
        spec_(model.spec()),
        text_(text),
        pool_(model.workspace().pool()),
        writer_(writer),
        progress_("Compressing", parameters()) {
    report_.parameters = parameters();
  }

  CompressReport run() {
    const auto start = std::chrono::steady_clock::now();
    std::optional<StatisticsFile> statistics_file;
    if (!options_.statistics.empty()) statistics_file.emplace(options_.statistics, spec_);
    CalibrationRun calibration(text_, embed_text(model_, text_));
    add_by_row(spec_.embedding);
    StatisticsCollector statistics(pool_);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
      calibration.step(model_, i, model_.layer(i), &statistics);
      for (const LinearSpec* linear : spec_.layers[i].linears()) {
        add_linear(*linear, statistics.at(*linear));
        if (statistics_file) statistics_file->add(*linear, statistics.at(*linear));
      }
      statistics.clear();
      model_.release_layer(i);
    }
    if (!spec_.tied_embeddings) add_by_row(spec_.head.weight());
    for (const std::string& name : tensor_names(model_)) {
      if (!done_.contains(name)) add_plain(name);
    }
    add_companions();
    if (!codecs_.empty()) recipe_.codec = codec_summary(codecs_);
    report_.recipe = recipe_;
    Json recipe = recipe_.to_json();
    recipe["calibration"] = {{"source", text_.source}, {"tokens", text_.tokens()}, {"xxh3", text_.hash}};
    writer_.commit(load_model_config(options_.source), recipe);
    if (statistics_file) statistics_file->finish();
    report_.calibration_tokens = text_.tokens();
    report_.source_bytes = directory_bytes(options_.source);
    report_.stored_bytes = directory_bytes(options_.destination);
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report_;
  }

 private:
  std::uint64_t parameters() const {
    std::uint64_t total = 0;
    for (const std::string& name : tensor_names(model_)) {
      total += static_cast<std::uint64_t>(model_.checkpoint().at(name).elements());
    }
    return total;
  }

  void add_linear(const LinearSpec& linear, const ChannelStatistics& statistics) {
    const std::string name = linear.weight();
    if (recipe_.skips(name)) return;  // stored plain at the end
    check_interrupt();
    floats_ = load_linear(model_.checkpoint(), linear, pool_, std::move(floats_));
    QuantizedMatrix matrix = stage_one(floats_, linear.rows, linear.cols, statistics, recipe_, pool_);
    report_.linear_bytes += add_coded(name, matrix);
    report_.linear_weights += matrix.q.size();
  }

  void add_by_row(const std::string& name) {
    if (recipe_.skips(name)) return;
    check_interrupt();
    const TensorView& tensor = model_.checkpoint().at(name);
    floats_ = load_weights(tensor, pool_, std::move(floats_));
    QuantizedMatrix matrix = quantize_per_row(floats_, tensor.shape.at(0), tensor.shape.at(1), pool_);
    add_coded(name, matrix);
    model_.checkpoint().release(tensor);
  }

  std::uint64_t add_coded(const std::string& name, QuantizedMatrix& matrix) {
    matrix.parts.name = name;
    const Codec& codec = options_.plan ? options_.plan->codec_of(name) : find_codec(recipe_.codec);
    const std::uint64_t bytes = writer_.add_coded(matrix.parts, matrix.q, codec, pool_);
    codecs_.emplace(codec.name());
    done_.insert(name);
    progress_.advance(matrix.q.size(), name);
    return bytes;
  }

  /// What else belongs to the model. A GGUF file has its tokenizer in its metadata.
  void add_companions() {
    if (const GgufFile* gguf = model_.checkpoint().gguf()) {
      writer_.add_file("tokenizer.gguf", gguf->without_tensors());
      return;
    }
    for (const fs::path& file : companion_files(options_.source)) writer_.copy_file(file);
  }

  void add_plain(const std::string& name) {
    check_interrupt();
    const TensorView& tensor = model_.checkpoint().at(name);
    std::vector<std::uint8_t> storage;
    writer_.add_plain(plain_copy(tensor, storage));
    model_.checkpoint().release(tensor);
    progress_.advance(static_cast<std::uint64_t>(tensor.elements()), name);
  }

  const CompressOptions& options_;
  Recipe recipe_;
  Model& model_;
  const ModelSpec& spec_;
  const CalibrationText& text_;
  ThreadPool& pool_;
  ContainerWriter& writer_;
  Progress progress_;
  std::set<std::string> done_;
  AlignedVector<float> floats_;  // weights being compressed
  std::set<std::string> codecs_;
  CompressReport report_;
};

}  // namespace

CompressReport compress_model(const CompressOptions& options) {
  check(options.recipe);
  if (Container::is_container(options.source)) fail("{}: is compressed already", options.source.string());
  Model model(options.source, {.threads = options.threads, .release_pages = true});
  // First of all, so that a destination that cannot be is told before minutes of calibration.
  const std::vector<std::string> names = tensor_names(model);
  ContainerWriter writer(options.destination, names, options.max_shard_bytes);
  if (options.plan) check_names(*options.plan, names, options.source);
  for (const auto& [name, tensor] : model.checkpoint().tensors()) {
    check_interrupt();
    if (is_weight(tensor)) check_finite(tensor, model.workspace().pool());
    model.checkpoint().release(tensor);
  }
  const CalibrationText text = make_calibration_text(model, options.calibration);
  Recipe recipe = options.recipe;
  std::vector<AlphaPoint> alphas;
  if (options.auto_alpha) {
    alphas = try_alphas(model, text, recipe);
    recipe.alpha = best_alpha(alphas, options.max_kl).alpha;
  }
  CompressReport report = Compressor(options, model, writer, text, recipe).run();
  report.alphas = std::move(alphas);
  return report;
}

}  // namespace twofold
