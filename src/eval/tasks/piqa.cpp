// PIQA (Bisk et al. 2020): which of two solutions reaches a goal. Rows: {"goal", "sol1", "sol2"} with
// "label", or with the labels in a file of their own, a line each: valid.jsonl and valid-labels.lst.

#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "eval/tasks/llm_adapters.h"
#include "eval/tasks/registry.h"

namespace twofold {

namespace {

constexpr std::string_view kAdapters = "Please choose the correct solution to the question: ";

TaskItem make_item(const Record& row, const std::string& goal, std::vector<std::string> solutions,
                   std::size_t label) {
  const std::string context = "Question: " + goal + "\nAnswer:";
  const std::string solved = context + " " + solutions[label];
  return {row.where(), {context}, std::move(solutions), label, solved};
}

std::vector<std::size_t> read_labels(const RecordFile& file) {
  const auto path = file.path.parent_path() / (file.path.stem().string() + "-labels.lst");
  std::istringstream text(read_file(path, std::uint64_t{1} << 26));
  std::vector<std::size_t> labels;
  for (std::string line; std::getline(text, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line != "0" && line != "1")
      fail("{}:{}: expected 0 or 1, found {}", path.string(), labels.size() + 1, json_quote(line));
    labels.push_back(line == "1" ? 1 : 0);
  }
  if (labels.size() != file.records.size()) {
    fail("{}: {} labels, but {} has {} rows", path.string(), labels.size(), file.path.string(),
         file.records.size());
  }
  return labels;
}

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  std::vector<std::size_t> labels;
  for (const Record& row : file.records) {
    if (is_adapters_row(row, kAdapters)) {
      const auto parts = adapters_parts(
          row, {kAdapters, "\n\nSolution1: ", "\n\nSolution2: ", "\n\nAnswer format: solution1/solution2"});
      items.push_back(
          make_item(row, parts[0], {parts[1], parts[2]}, row.one_of("answer", {"solution1", "solution2"})));
      continue;
    }
    if (!row.has("label") && labels.empty()) labels = read_labels(file);
    items.push_back(make_item(row, row.text("goal"), {row.text("sol1"), row.text("sol2")},
                              labels.empty() ? row.index("label", 2) : labels[items.size()]));
  }
  return items;
}

bool matches(const Record& row) {
  return (row.has("goal") && row.has("sol1")) || is_adapters_row(row, kAdapters);
}

}  // namespace

const TaskFormat piqa_format = {.name = "piqa", .kind = TaskKind::kChoice, .matches = matches, .read = read};

}  // namespace twofold
