// SWDE as in Arora et al. 2024 (arXiv 2402.18668): a value named at the end of a web page's text is to be
// found in it. Rows: {"text", "value", ...}; the text ends where the value is to follow.

#include "base/error.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    const std::string text = strip(row.text("text"));
    const std::string value = strip(row.text("value"));
    if (value.empty()) fail("{}: \"value\": expected text, found none", row.where());
    items.push_back({row.where(), {text}, {value}, 0, text + " " + value});
  }
  return items;
}

bool matches(const Record& row) {
  return row.has("text") && row.has("value");
}

}  // namespace

const TaskFormat swde_format = {.name = "swde", .kind = TaskKind::kExtract, .matches = matches, .read = read};

}  // namespace twofold
