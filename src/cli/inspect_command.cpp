#include <fmt/core.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/table.h"
#include "eval/size_report.h"

namespace twofold {

namespace {

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t n : shape) text += fmt::format("{}{}", text.empty() ? "" : "x", n);
  return text.empty() ? "scalar" : text;
}

double ratio(std::uint64_t a, std::uint64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

void print_text(const SizeReport& report) {
  Table table({"tensor", "shape", "stored as", "bytes", "bits/w", "CR", "zeros %", "entropy"});
  for (const TensorSize& t : report.tensors) {
    table.add({t.name, shape_text(t.shape), t.stored_as, fmt::format("{}", t.bytes),
               fmt::format("{:.3f}", t.bits_per_weight), t.coded ? fmt::format("{:.3f}", t.cr) : "",
               fmt::format("{:.1f}", 100 * t.zeros), t.coded ? fmt::format("{:.3f}", t.entropy) : ""});
  }
  fmt::print("{}\n", table.text());
  Table totals({"total", "bytes", "of FP16 %"});
  const auto add = [&](const char* name, std::uint64_t bytes) {
    totals.add(
        {name, fmt::format("{}", bytes), fmt::format("{:.1f}", 100 * ratio(bytes, report.fp16_bytes))});
  };
  add("FP16", report.fp16_bytes);
  add("INT8", report.int8_bytes);
  add("stored", report.stored_bytes);
  add("directory", report.directory_bytes);
  fmt::print("{}", totals.text());
  fmt::print("\n{} parameters", report.elements);
  if (report.coded_elements > 0) {
    fmt::print(", {} coded at {:.3f} bits/weight (entropy {:.3f}), CR {:.3f} against INT8",
               report.coded_elements, 8 * ratio(report.coded_bytes, report.coded_elements),
               report.coded_entropy, ratio(report.coded_elements, report.coded_bytes));
  }
  fmt::print("\n");
}

void print_json(const SizeReport& report) {
  Json tensors = Json::array();
  for (const TensorSize& t : report.tensors) {
    Json row = {{"name", t.name},
                {"shape", t.shape},
                {"stored_as", t.stored_as},
                {"coded", t.coded},
                {"bytes", t.bytes},
                {"zeros", t.zeros},
                {"bits_per_weight", t.bits_per_weight}};
    if (t.coded) {
      row["cr"] = t.cr;
      row["entropy"] = t.entropy;
    }
    tensors.push_back(row);
  }
  const Json json = {{"tensors", tensors},
                     {"parameters", report.elements},
                     {"fp16_bytes", report.fp16_bytes},
                     {"int8_bytes", report.int8_bytes},
                     {"stored_bytes", report.stored_bytes},
                     {"directory_bytes", report.directory_bytes},
                     {"coded_parameters", report.coded_elements},
                     {"coded_bytes", report.coded_bytes},
                     {"coded_entropy", report.coded_entropy}};
  fmt::print("{}\n", json.dump(2));
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  struct Flags {
    std::string model;
    bool json = false;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("inspect", "Show what each tensor of a model directory takes");
  command->add_option("DIR", flags->model, "Model directory, original or Twofold")->required();
  command->add_flag("--json", flags->json, "Print as JSON");
  command->callback([flags] {
    const SizeReport report = measure_sizes(flags->model);
    if (flags->json) {
      print_json(report);
    } else {
      print_text(report);
    }
  });
}

}  // namespace twofold
