// HellaSwag (Zellers et al. 2019): how a description goes on. Rows: {"activity_label", "ctx_a", "ctx_b",
// "endings": four, "label": 0-3}.

#include "base/error.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

/// Removes what is left of WikiHow's markup: "[title]" begins a sentence, other brackets go.
std::string clean(std::string_view text) {
  const std::string titled = replace_all(strip(text), " [title]", ". ");
  std::string out;
  for (std::size_t at = 0; at < titled.size();) {
    if (titled[at] == '[') {
      const std::size_t end = titled.find_first_of("]\n", at);
      if (end != std::string::npos && titled[end] == ']') {
        at = end + 1;
        continue;
      }
    }
    out += titled[at++];
  }
  return replace_all(out, "  ", " ");
}

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    const std::string context = row.text("ctx_a") + " " + capitalize(row.text("ctx_b"));
    TaskItem item{row.where(), {clean(row.text("activity_label") + ": " + context)}, {}, 0, ""};
    for (const std::string& ending : row.texts("endings")) item.choices.push_back(clean(ending));
    if (item.choices.size() != 4)
      fail("{}: \"endings\": expected 4, found {}", row.where(), item.choices.size());
    item.answer = row.index("label", 4);
    item.solved = item.contexts[0] + " " + item.choices[item.answer];
    items.push_back(std::move(item));
  }
  return items;
}

bool matches(const Record& row) {
  return row.has("ctx_a") && row.has("endings");
}

}  // namespace

const TaskFormat hellaswag_format = {
    .name = "hellaswag", .kind = TaskKind::kChoice, .matches = matches, .read = read};

}  // namespace twofold
