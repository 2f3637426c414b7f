#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "eval/lab/report.h"

namespace twofold {

namespace {

std::string cell(const Json& value) {
  if (value.is_null() || value.is_structured()) return "";
  if (!value.is_string()) return value.dump();
  const auto& text = value.get_ref<const std::string&>();
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

Json field(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object.at(key) : Json();
}

}  // namespace

std::string lab_csv(const Json& results) {
  constexpr const char* kRecipe[] = {"scaler", "alpha",  "quantizer", "granularity", "width",
                                     "bits",   "lambda", "pruner",    "sparsity",    "sequential"};
  constexpr const char* kFigures[] = {
      "bits_per_weight",  "cr", "entropy",  "zeros",  "stored_bytes", "perplexity",
      "perplexity_error", "kl", "kl_error", "kl_p99", "top1",         "seconds"};
  constexpr const char* kMetrics[] = {"acc",        "acc_error", "acc_norm", "acc_norm_error",
                                      "perplexity", "contains"};
  constexpr const char* kCoder[] = {"codec", "encode", "decode", "decode_to_raw"};
  const Json original = results.at("original");
  std::string csv = "suite,label";
  for (const char* key : kRecipe) csv += fmt::format(",{}", key);
  for (const char* key : kFigures) csv += fmt::format(",{}", key);
  for (const char* key : kCoder) csv += fmt::format(",{}", key);
  std::vector<std::pair<std::string, const char*>> tasks;
  for (const auto& [name, task] : original.at("tasks").items()) {
    for (const char* metric : kMetrics)
      if (task.contains(metric)) tasks.emplace_back(name, metric);
  }
  for (const auto& [name, metric] : tasks) csv += "," + cell(name + " " + metric);
  csv += "\r\n";
  const auto add = [&](const Json& suite, const Json& point, const Json& coder) {
    csv += cell(suite) + "," + cell(field(point, "label"));
    const Json recipe = field(point, "recipe");
    for (const char* key : kRecipe) csv += "," + cell(field(recipe, key));
    for (const char* key : kFigures) {
      const Json own = field(coder, key);
      csv += "," + cell(own.is_null() ? field(point, key) : own);
    }
    for (const char* key : kCoder) csv += "," + cell(field(coder, key));
    const Json scores = field(point, "tasks");
    for (const auto& [name, metric] : tasks) csv += "," + cell(field(field(scores, name.c_str()), metric));
    csv += "\r\n";
  };
  add("", original, Json());
  for (const Json& suite : results.at("suites")) {
    for (const Json& point : suite.at("points")) {
      if (!point.contains("coders")) {
        add(suite.at("name"), point, Json());
        continue;
      }
      for (const Json& coder : point.at("coders")) add(suite.at("name"), point, coder);
    }
  }
  return csv;
}

}  // namespace twofold
