// WinoGrande (Sakaguchi et al. 2019): which of two names fills a blank. Rows: {"sentence", "option1",
// "option2", "answer": "1" or "2"}. Partial scoring (Trinh and Le 2018): each name is put into the blank, and
// what follows the blank is scored.

#include "base/error.h"
#include "eval/tasks/llm_adapters.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

constexpr std::string_view kAdapters =
    "Please choose the correct answer to fill in the blank to complete the given sentence: ";

TaskItem make_item(const Record& row, std::string_view field, const std::string& sentence,
                   const std::vector<std::string>& options, std::size_t answer) {
  const std::size_t blank = sentence.find('_');
  if (blank == std::string::npos)
    fail("{}: \"{}\": expected a sentence with a blank, \"_\"", row.where(), field);
  const std::string rest = strip(sentence.substr(blank + 1));
  TaskItem item{row.where(), {}, {rest, rest}, answer, ""};
  for (const std::string& option : options) item.contexts.push_back(sentence.substr(0, blank) + option);
  item.solved = item.contexts[answer] + " " + rest;
  return item;
}

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    if (is_adapters_row(row, kAdapters)) {
      const auto parts =
          adapters_parts(row, {kAdapters, "\n\nOption1: ", " Option2: ", " Answer format: option1/option2"});
      items.push_back(make_item(row, "instruction", parts[0], {parts[1], parts[2]},
                                row.one_of("answer", {"option1", "option2"})));
      continue;
    }
    items.push_back(make_item(row, "sentence", row.text("sentence"),
                              {row.text("option1"), row.text("option2")}, row.one_of("answer", {"1", "2"})));
  }
  return items;
}

bool matches(const Record& row) {
  return (row.has("sentence") && row.has("option1")) || is_adapters_row(row, kAdapters);
}

}  // namespace

const TaskFormat winogrande_format = {
    .name = "winogrande", .kind = TaskKind::kChoice, .matches = matches, .read = read};

}  // namespace twofold
