// MathQA (Amini et al. 2019): word problems with five answers. Rows: {"Problem", "options": "a ) 38 , b
// ) 27.675 , ...", "correct": "a"-"e"}.

#include "base/error.h"
#include "eval/tasks/llm_adapters.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

constexpr std::string_view kAdapters = " The options: ";

/// The texts behind "a ) ", "b ) " ... as lm-evaluation-harness finds them: up to the next ", ", the last up
/// to the end.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> options;
  const auto add = [&](std::string_view option) {
    while (!option.empty() && (option.back() == ' ' || option.back() == ',')) option.remove_suffix(1);
    options.emplace_back(option);
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.substr(at + 1, 3) != " ) ") continue;
    const std::size_t begin = at + 4;
    if (text[at] == 'e') {
      add(text.substr(begin));
      break;
    }
    const std::size_t end = text.find(", ", begin);
    if (text[at] < 'a' || text[at] > 'd' || end == std::string_view::npos) continue;
    add(text.substr(begin, end - begin));
    at = end + 1;
  }
  return options;
}

TaskItem make_item(const Record& row, std::string_view field, const std::string& problem,
                   const std::string& options, std::size_t right) {
  TaskItem item{row.where(), {"Question: " + problem + "\nAnswer:"}, split_options(options), right, ""};
  if (item.choices.size() != 5) {
    fail("{}: \"{}\": expected the five options \"a ) ... , b ) ...\", found {}", row.where(), field,
         item.choices.size());
  }
  item.solved = item.contexts[0] + " " + item.choices[right];
  return item;
}

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    if (is_adapters_row(row, kAdapters)) {
      // There the letters a to e of the options are in upper case, wherever they stand.
      const auto parts = adapters_parts(row, {"", kAdapters, ""});
      items.push_back(make_item(row, "instruction", parts[0], lower(parts[1]),
                                row.one_of("answer", {"A", "B", "C", "D", "E"})));
      continue;
    }
    items.push_back(make_item(row, "options", row.text("Problem"), row.text("options"),
                              row.one_of("correct", {"a", "b", "c", "d", "e"})));
  }
  return items;
}

bool matches(const Record& row) {
  return (row.has("Problem") && row.has("options")) || is_adapters_row(row, kAdapters);
}

}  // namespace

const TaskFormat mathqa_format = {
    .name = "mathqa", .kind = TaskKind::kChoice, .matches = matches, .read = read};

}  // namespace twofold
