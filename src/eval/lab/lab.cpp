#include "eval/lab/lab.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/version.h"
#include "eval/lab/joint.h"
#include "eval/lab/measure.h"
#include "eval/lab/rates.h"
#include "eval/lab/report.h"
#include "eval/lab/store.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

class Lab {
 public:
  explicit Lab(const LabOptions& options)
      : options_(options), store_(options.out / "points"), bench_(options_, options.out / "scratch") {
    if (Container::is_container(options_.model))
      fail("{}: is compressed already; the lab needs an original", options_.model.string());
    const std::string model = content_hash(options_.model);
    prepare_calibration(model);
    base_ = {{"version", TWOFOLD_VERSION},
             {"model", model},
             {"text", content_hash(options_.text)},
             {"calibration", content_hash(options_.calibration.source)},
             {"calibration_tokens", options_.calibration.tokens},
             {"context", options_.perplexity.context},
             {"stride", options_.perplexity.stride},
             {"max_tokens", options_.perplexity.max_tokens},
             {"task_limit", options_.task_limit},
             {"tasks", Json::array()}};
    for (const fs::path& task : options_.tasks) base_["tasks"].push_back(content_hash(task));
  }

  LabReport run() {
    std::set<std::string_view> asked;
    for (const std::string& name : options_.suites) {
      if (name != "all") asked.insert(find_lab_suite(name).name);
      for (const LabSuite& suite : lab_suites())
        if (name == "all") asked.insert(suite.name);
    }
    std::vector<std::pair<const LabSuite*, std::vector<LabPoint>>> suites;
    for (const LabSuite& suite : lab_suites()) {
      std::vector<LabPoint> points = suite.points();
      if (!asked.contains(suite.name) && !measured_before(points)) continue;
      total_ += points.size();
      suites.emplace_back(&suite, std::move(points));
    }
    results_ = {{"model", options_.model.lexically_normal().filename().string()},
                {"text", options_.text.filename().string()},
                {"version", TWOFOLD_VERSION},
                {"original", original()},
                {"suites", Json::array()}};
    for (const auto& [suite, wanted] : suites) {
      Json points = Json::array();
      for (const LabPoint& point : wanted) points.push_back(measure(suite->name, point));
      if (suite->name == "joint") results_["joint"] = analyse_joint(points, results_["original"]);
      if (suite->name == "rates") results_["rates"] = analyse_rates(points);
      results_["suites"].push_back(
          {{"name", suite->name}, {"summary", suite->summary}, {"points", std::move(points)}});
      write();
    }
    if (options_.search) {
      search(*options_.search);
      write();
    }
    report_.points = total_;
    return report_;
  }

 private:
  /// Text that the model samples from itself is made once and kept, for all points.
  void prepare_calibration(const std::string& model_hash) {
    CalibrationOptions& calibration = options_.calibration;
    if (calibration.source != "self") return;
    const fs::path path = options_.out / fmt::format("calibration-{}-{}-{}.txt", model_hash,
                                                     calibration.tokens, calibration.seed);
    if (!fs::exists(path)) {
      Model model(options_.model, {.threads = options_.threads});
      const auto tokenizer = load_tokenizer(options_.model);
      std::string text;
      for (const auto& sequence : make_calibration_text(model, calibration).sequences)
        text += tokenizer->decode(sequence) + "\n";
      replace_file(path, text);
    }
    calibration.source = path.string();
  }

  std::string key(Json what) const {
    what["base"] = base_;
    return hex64(xxh3(as_bytes(what.dump())));
  }

  Json original() {
    const std::string name = key({{"original", true}});
    if (auto stored = store_.load(name)) return *stored;
    fmt::print(stderr, "original\n");
    Json result = bench_.original();
    result["label"] = "original";
    store_.save(name, result);
    return result;
  }

  std::string key_of(const LabPoint& point) const {
    Json recipe = point.recipe.to_json();
    recipe.erase("recipe");  // a name does not change what is measured
    return key({{"recipe", std::move(recipe)}, {"coders", point.coders}});
  }

  /// True for a suite that an earlier run in this directory went through: its points are in the report too.
  bool measured_before(const std::vector<LabPoint>& points) const {
    return std::ranges::all_of(points, [&](const LabPoint& point) { return store_.has(key_of(point)); });
  }

  Json measure(std::string_view suite, const LabPoint& point) {
    check_interrupt();
    ++done_;
    const std::string name = key_of(point);
    std::optional<Json> result = store_.load(name);
    if (!result) {
      fmt::print(stderr, "[{}/{}] {}: {}\n", done_, std::max(total_, done_), suite, point.label);
      result = bench_.point(point);
      store_.save(name, *result);
      ++report_.measured;
    }
    (*result)["label"] = point.label;
    (*result)["recipe"]["recipe"] = point.recipe.name;
    (*result)["key"] = name;
    return std::move(*result);
  }

  void search(double tcr) {
    const JointSearch found = search_joint(tcr, [&](int width, double sparsity) {
      return measure("search", joint_point(width, sparsity)).at("kl").get<double>();
    });
    results_["search"] = {{"tcr", tcr},     {"width", found.width},       {"sparsity", found.sparsity},
                          {"kl", found.kl}, {"measured", found.measured}, {"candidates", found.candidates}};
  }

  void write() {
    report_.html = options_.out / "report.html";
    report_.csv = options_.out / "results.csv";
    report_.json = options_.out / "results.json";
    replace_file(report_.json, results_.dump(1) + "\n");
    replace_file(report_.csv, lab_csv(results_));
    replace_file(report_.html, lab_html(results_));
  }

  LabOptions options_;
  LabStore store_;
  LabBench bench_;
  Json base_;
  Json results_;
  LabReport report_;
  std::size_t total_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

LabReport run_lab(const LabOptions& options) {
  if (options.suites.empty() && !options.search)
    throw UsageError("--suite: expected at least one, or --search");
  return Lab(options).run();
}

}  // namespace twofold
