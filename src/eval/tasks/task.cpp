#include "eval/tasks/task.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "eval/tasks/registry.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> expand(std::span<const fs::path> paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    const std::size_t before = files.size();
    for (const auto& entry : fs::directory_iterator(path, error)) {
      const fs::path extension = entry.path().extension();
      if (extension == ".json" || extension == ".jsonl" || extension == ".csv") files.push_back(entry.path());
    }
    if (error) fail("{}: {}", path.string(), error.message());
    if (files.size() == before) fail("{}: no .json, .jsonl or .csv files in it", path.string());
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

std::string names(std::optional<TaskKind> kind) {
  std::string list;
  for (const TaskFormat* format : task_formats())
    if (!kind || format->kind == *kind) list += (list.empty() ? "" : ", ") + std::string(format->name);
  return list;
}

const TaskFormat& find_format(const RecordFile& file, std::optional<TaskKind> kind, std::string_view name) {
  for (const TaskFormat* format : task_formats()) {
    if (name.empty() ? format->matches(file.records.front()) : format->name == name) {
      if (kind && format->kind != *kind) {
        fail("{}: format {} is for eval {}, not for eval {}", file.path.string(), format->name,
             name_of(format->kind), name_of(*kind));
      }
      return *format;
    }
  }
  if (!name.empty()) throw UsageError(fmt::format("unknown format {}; there are: {}", name, names(kind)));
  fail("{}: its fields are those of no known format ({})", file.records.front().where(), names(kind));
}

Task load(std::span<const fs::path> paths, std::optional<TaskKind> kind, std::string_view name) {
  Task task;
  for (const fs::path& path : expand(paths)) {
    const RecordFile file = read_records(path);
    const TaskFormat& format = find_format(file, kind, name);
    if (task.format == nullptr) task.format = &format;
    if (task.format != &format) {
      fail("{}: its format is {}, that of the files before is {}", path.string(), format.name,
           task.format->name);
    }
    TaskSection section{path.stem().string(), "", format.read(file)};
    if (format.description != nullptr) section.description = format.description(path);
    task.sections.push_back(std::move(section));
  }
  if (task.format == nullptr) throw UsageError("no task file is given");
  return task;
}

}  // namespace

std::size_t Task::items() const {
  std::size_t count = 0;
  for (const TaskSection& section : sections) count += section.items.size();
  return count;
}

Task load_task(std::span<const fs::path> paths, TaskKind kind, std::string_view format) {
  return load(paths, kind, format);
}

Task load_task(std::span<const fs::path> paths, std::string_view format) {
  return load(paths, std::nullopt, format);
}

std::string_view name_of(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCloze:
      return "cloze";
    case TaskKind::kChoice:
      return "choice";
    case TaskKind::kExtract:
      break;
  }
  return "extract";
}

}  // namespace twofold
