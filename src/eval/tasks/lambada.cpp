// LAMBADA (Paperno et al. 2016): the last word of a passage. Rows: {"text"}.

#include "base/error.h"
#include "eval/tasks/registry.h"

namespace twofold {

namespace {

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    const std::string text = row.text("text");
    const std::size_t space = text.rfind(' ');
    if (space == std::string::npos || space == 0 || space + 1 == text.size())
      fail("{}: \"text\": expected a passage and, behind a space, its last word", row.where());
    items.push_back({row.where(), {text.substr(0, space)}, {text.substr(space + 1)}, 0, text});
  }
  return items;
}

bool matches(const Record& row) {
  return row.has("text") && !row.has("value");
}

}  // namespace

const TaskFormat lambada_format = {
    .name = "lambada", .kind = TaskKind::kCloze, .matches = matches, .read = read};

}  // namespace twofold
