#include "compress/compress.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compress/layer_shaper.h"
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
             const CalibrationText& text, Recipe recipe, RatePlan* plan)
      : options_(options),
        recipe_(std::move(recipe)),
        plan_(plan),
        model_(model),
        spec_(model.spec()),
        text_(text),
        pool_(model.workspace().pool()),
        writer_(writer),
        progress_("Compressing", parameters()) {
    report_.parameters = parameters();
  }

  /// Everything but the last step. `reference`, what the calibration tokens come to in the original, is
  /// spoilt when there is one, and report().kl tells what it says.
  void run(AlignedVector<float>* reference) {
    if (!options_.statistics.empty()) statistics_file_.emplace(options_.statistics, spec_);
    if (recipe_.is_dc()) {
      run_dc();
    } else {
      run_recipe(reference);
    }
    if (!spec_.tied_embeddings) add_by_row(spec_.head.weight());
    for (const std::string& name : tensor_names(model_)) {
      if (!done_.contains(name)) add_plain(name);
    }
    add_companions();
  }

  /// Bytes of the directory, within a few per mille: headers are not written yet.
  std::uint64_t expected_bytes() const {
    constexpr std::uint64_t kHeader = 130;   // of a tensor, padding included
    constexpr std::uint64_t kConfig = 2000;  // config.json with the recipe
    return bytes_ + kHeader * done_.size() + kConfig;
  }

  CompressReport commit() {
    if (!codecs_.empty()) recipe_.codec = codec_summary(codecs_);
    report_.recipe = recipe_;
    Json recipe = recipe_.to_json();
    if (plan_ != nullptr && report_.linear_weights > 0) {  // what it came to
      recipe["bits"] =
          8.0 * static_cast<double>(report_.linear_bytes) / static_cast<double>(report_.linear_weights);
    }
    recipe["calibration"] = {{"source", text_.source}, {"tokens", text_.tokens()}, {"xxh3", text_.hash}};
    writer_.commit(load_model_config(options_.source), recipe);
    if (statistics_file_) statistics_file_->finish();
    report_.calibration_tokens = text_.tokens();
    report_.source_bytes = directory_bytes(options_.source);
    report_.stored_bytes = directory_bytes(options_.destination);
    return report_;
  }

  const CompressReport& report() const { return report_; }

 private:
  std::uint64_t parameters() const {
    std::uint64_t total = 0;
    for (const std::string& name : tensor_names(model_)) {
      total += static_cast<std::uint64_t>(model_.checkpoint().at(name).elements());
    }
    return total;
  }

  void run_dc() {
    CalibrationRun calibration(text_, embed_text(model_, text_));
    add_by_row(spec_.embedding);
    StatisticsCollector statistics(pool_);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
      calibration.step(model_, i, model_.layer(i), &statistics);
      for (const LinearSpec* linear : spec_.layers[i].linears()) {
        add_linear(*linear, statistics.at(*linear));
        if (statistics_file_) statistics_file_->add(*linear, statistics.at(*linear));
      }
      statistics.clear();
      model_.release_layer(i);
    }
  }

  void run_recipe(AlignedVector<float>* reference) {
    LayerShaper shaper = make_shaper();
    const bool grams = needs_moments(recipe_);
    for (std::size_t i = 0; i < spec_.layers.size(); ++i) {
      StatisticsCollector statistics(pool_, grams);
      for (ShapedLinear& shaped : shaper.next(statistics)) add_shaped(shaped);
      for (const LinearSpec* linear : spec_.layers[i].linears()) {
        if (statistics_file_) statistics_file_->add(*linear, statistics.at(*linear));
      }
      model_.release_layer(i);
    }
    if (reference != nullptr) report_.kl = divergence(model_, *reference, shaper.hidden());
  }

  LayerShaper make_shaper() {
    std::optional<QuantizedMatrix> matrix = add_by_row(spec_.embedding);
    if (!matrix) return {model_, text_, recipe_, plan_, nullptr};
    const MemoryTensor tensor(std::move(*matrix));
    return {model_, text_, recipe_, plan_, make_coded_embedding(tensor.tensor()).get()};
  }

  void add_shaped(ShapedLinear& shaped) {
    const std::string name = shaped.linear->weight();
    const std::uint64_t weights =
        static_cast<std::uint64_t>(shaped.linear->rows) * static_cast<std::uint64_t>(shaped.linear->cols);
    report_.linear_weights += weights;
    if (shaped.tensor == nullptr) {
      report_.linear_bytes += static_cast<std::uint64_t>(shaped.bits / 8);
      add_floats(*shaped.linear, shaped.floats);
      return;
    }
    const std::uint64_t bytes = add_coded(name, shaped.tensor->matrix());
    report_.linear_bytes += bytes;
    if (plan_ != nullptr) {
      plan_->coded(shaped.linear->name, 8.0 * static_cast<double>(bytes));
    }
  }

  /// For evaluation only: F32, in the shape that the original has.
  void add_floats(const LinearSpec& linear, std::span<const float> floats) {
    AlignedVector<float> stored(floats.begin(), floats.end());
    if (linear.transposed) {
      const auto rows = static_cast<std::size_t>(linear.rows);
      const auto cols = static_cast<std::size_t>(linear.cols);
      for (std::size_t i = 0; i < stored.size(); ++i) stored[i % cols * rows + i / cols] = floats[i];
    }
    const TensorView view{
        linear.weight(),
        DType::kF32,
        linear.stored_shape(),
        {reinterpret_cast<const std::uint8_t*>(stored.data()), stored.size() * sizeof(float)},
        ""};
    writer_.add_plain(view);
    bytes_ += view.bytes.size();
    done_.insert(linear.weight());
    progress_.advance(stored.size(), linear.weight());
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

  /// The matrix as it is stored; none when the recipe skips it.
  std::optional<QuantizedMatrix> add_by_row(const std::string& name) {
    if (recipe_.skips(name)) return std::nullopt;
    check_interrupt();
    const TensorView& tensor = model_.checkpoint().at(name);
    floats_ = load_weights(tensor, pool_, std::move(floats_));
    QuantizedMatrix matrix = quantize_per_row(floats_, tensor.shape.at(0), tensor.shape.at(1), pool_);
    add_coded(name, matrix);
    model_.checkpoint().release(tensor);
    return matrix;
  }

  std::uint64_t add_coded(const std::string& name, QuantizedMatrix& matrix) {
    matrix.parts.name = name;
    const Codec& codec = options_.plan ? options_.plan->codec_of(name) : find_codec(recipe_.codec);
    const std::uint64_t bytes = writer_.add_coded(matrix.parts, matrix.q, codec, pool_);
    codecs_.emplace(codec.name());
    done_.insert(name);
    bytes_ += bytes;
    progress_.advance(matrix.q.size(), name);
    return bytes;
  }

  /// What else belongs to the model. A GGUF file has its tokenizer in its metadata.
  void add_companions() {
    if (const GgufFile* gguf = model_.checkpoint().gguf()) {
      const std::string metadata = gguf->without_tensors();
      writer_.add_file("tokenizer.gguf", metadata);
      bytes_ += metadata.size();
      return;
    }
    for (const fs::path& file : companion_files(options_.source)) {
      writer_.copy_file(file);
      bytes_ += fs::file_size(file);
    }
  }

  void add_plain(const std::string& name) {
    check_interrupt();
    const TensorView& tensor = model_.checkpoint().at(name);
    std::vector<std::uint8_t> storage;
    const TensorView plain = plain_copy(tensor, storage);
    writer_.add_plain(plain);
    bytes_ += plain.bytes.size();
    done_.insert(name);
    model_.checkpoint().release(tensor);
    progress_.advance(static_cast<std::uint64_t>(tensor.elements()), name);
  }

  const CompressOptions& options_;
  Recipe recipe_;
  RatePlan* plan_;
  Model& model_;
  const ModelSpec& spec_;
  const CalibrationText& text_;
  ThreadPool& pool_;
  ContainerWriter& writer_;
  Progress progress_;
  std::optional<StatisticsFile> statistics_file_;
  std::set<std::string> done_;
  AlignedVector<float> floats_;  // weights being compressed
  std::uint64_t bytes_ = 0;      // of what has been added
  std::set<std::string> codecs_;
  CompressReport report_;
};

}  // namespace

namespace {

/// What the calibration tokens come to in the original model, [tokens, hidden_size].
AlignedVector<float> original_hidden(Model& model, const CalibrationText& text) {
  CalibrationRun run(text, embed_text(model, text));
  Progress progress("Running the original", model.spec().layers.size());
  for (std::size_t i = 0; i < model.spec().layers.size(); ++i) {
    run.step(model, i, model.layer(i), nullptr);
    model.release_layer(i);
    progress.advance(1);
  }
  return std::move(run.hidden());
}

/// Tries steps until the target is met. What a step comes to is known when everything has been coded with it.
class Rated {
 public:
  Rated(const CompressOptions& options, Model& model, const CalibrationText& text, Recipe recipe)
      : options_(options), model_(model), text_(text), recipe_(std::move(recipe)) {}

  CompressReport run(std::optional<ContainerWriter>& writer) {
    const RatePlan plan = make_rate_plan(model_, text_, recipe_);
    constexpr int kAttempts = 5;
    constexpr double kFirstBits = 3;
    if (options_.target_bytes && recipe_.bits == 0) recipe_.bits = kFirstBits;
    if (by_divergence()) reference_ = original_hidden(model_, text_);
    double base = by_divergence() ? plan.base_for_divergence(options_.max_kl) : plan.base_for(recipe_.bits);
    for (int attempt = 1;; ++attempt) {
      RatePlan steps = plan;
      steps.base_step = base;
      if (recipe_.bits > 0) steps.target = recipe_.bits;
      Compressor compressor(options_, model_, *writer, text_, recipe_, &steps);
      AlignedVector<float> reference = reference_;
      compressor.run(by_divergence() ? &reference : nullptr);
      if (attempt == kAttempts || met(compressor, plan, base)) {
        return compressor.commit();
      }
      writer.reset();
      writer.emplace(options_.destination, tensor_names(model_), options_.max_shard_bytes);
    }
  }

 private:
  static constexpr double kFinestBits = 7;

  bool by_divergence() const { return recipe_.bits == 0 && !options_.target_bytes; }

  /// True when the target is met; else `base` and the recipe's bits are those of the next attempt.
  bool met(const Compressor& compressor, const RatePlan& plan, double& base) {
    const CompressReport& report = compressor.report();
    if (by_divergence()) {
      const double ratio = std::max(*report.kl, 1e-12) / options_.max_kl;
      if (ratio > 0.92 && ratio <= 1) return true;
      if (ratio > 1 && plan.bits(base) > kFinestBits) return true;  // that is as near as INT8 comes
      // KL grows with the square of the step, or as it did between the last two attempts.
      double power = 2;
      if (last_) power = std::clamp(std::log(ratio / last_->ratio) / std::log(base / last_->base), 1.0, 6.0);
      last_ = {base, ratio};
      base *= std::clamp(std::pow(0.96 / ratio, 1 / power), 0.25, 4.0);
      return false;
    }
    if (!options_.target_bytes) return true;
    const auto target = static_cast<double>(*options_.target_bytes);
    const auto stored = static_cast<double>(compressor.expected_bytes());
    if (stored <= target && stored > 0.99 * target) return true;
    const double others = stored - static_cast<double>(report.linear_bytes);
    const double bits = 8 * (0.997 * target - others) / static_cast<double>(report.linear_weights);
    if (!(bits >= 0.5)) {
      fail("--size {}: what is not in the decoder's linear layers takes about {:.0f} bytes", target, others);
    }
    // By as much as the attempt was off: tables are much of a small model.
    const double found =
        8 * static_cast<double>(report.linear_bytes) / static_cast<double>(report.linear_weights);
    recipe_.bits = std::clamp(recipe_.bits + bits - found, 0.1, 8.0);
    base = plan.base_for(recipe_.bits);
    return false;
  }

  struct Attempt {
    double base = 0;
    double ratio = 0;  // KL divergence to the target
  };

  const CompressOptions& options_;
  Model& model_;
  const CalibrationText& text_;
  Recipe recipe_;
  AlignedVector<float> reference_;  // hidden states of the original
  std::optional<Attempt> last_;
};

}  // namespace

CompressReport compress_model(const CompressOptions& options) {
  check(options.recipe);
  if (Container::is_container(options.source)) fail("{}: is compressed already", options.source.string());
  Model model(options.source, {.threads = options.threads, .release_pages = true});
  // First of all, so that a destination that cannot be is told before minutes of calibration.
  const std::vector<std::string> names = tensor_names(model);
  std::optional<ContainerWriter> writer(std::in_place, options.destination, names, options.max_shard_bytes);
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
  const auto start = std::chrono::steady_clock::now();
  CompressReport report;
  if (find_quantizer(recipe.quantizer).rated) {
    report = Rated(options, model, text, recipe).run(writer);
  } else {
    Compressor compressor(options, model, *writer, text, recipe, nullptr);
    compressor.run(nullptr);
    report = compressor.commit();
  }
  report.alphas = std::move(alphas);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace twofold
