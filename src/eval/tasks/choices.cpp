// Any multiple choice: rows {"query", "choices": [...], "gold": index}.

#include "base/error.h"
#include "eval/tasks/registry.h"

namespace twofold {

namespace {

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    TaskItem item{row.where(), {row.text("query")}, row.texts("choices"), 0, ""};
    if (item.choices.size() < 2) {
      fail("{}: \"choices\": expected at least two, found {}", row.where(), item.choices.size());
    }
    item.answer = row.index("gold", item.choices.size());
    item.solved = item.contexts[0] + " " + item.choices[item.answer];
    items.push_back(std::move(item));
  }
  return items;
}

bool matches(const Record& row) {
  return row.has("query") && row.has("choices") && row.has("gold");
}

}  // namespace

const TaskFormat choices_format = {
    .name = "choices", .kind = TaskKind::kChoice, .matches = matches, .read = read};

}  // namespace twofold
