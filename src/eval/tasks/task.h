#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/records.h"

namespace twofold {

enum class TaskKind {
  kCloze,    // is the greedy continuation the target, and how likely is it
  kChoice,   // which of several continuations is the most likely
  kExtract,  // does the greedy continuation contain the answer
};

/// One question. A prompt is a context, a space and a choice.
struct TaskItem {
  std::string where;                  // file and line it came from
  std::vector<std::string> contexts;  // one, or one for each choice
  std::vector<std::string> choices;   // of kCloze and kExtract one: what is right
  std::size_t answer = 0;             // index of the right choice
  std::string solved;                 // the question with its answer, as an example in a prompt

  const std::string& context(std::size_t choice) const { return contexts[contexts.size() > 1 ? choice : 0]; }
};

/// How a public data set lays out its file, and what is asked. A new one is one file that defines it and one
/// line in tasks/registry.h.
struct TaskFormat {
  std::string_view name;
  TaskKind kind;
  /// Examples are the first ones of their file, as the data set's authors do it, instead of random ones.
  bool first_shots = false;
  /// True for a row that looks like this format's, by the names of its fields.
  bool (*matches)(const Record& row) = nullptr;
  /// All rows. Throws Error naming file, line and field.
  std::vector<TaskItem> (*read)(const RecordFile& file) = nullptr;
  /// What stands before examples and question, from the name of the file; may be nullptr.
  std::string (*description)(const std::filesystem::path& file) = nullptr;
};

/// The items of one file.
struct TaskSection {
  std::string name;         // the file's name without its extension
  std::string description;  // stands before everything, or empty
  std::vector<TaskItem> items;
};

struct Task {
  const TaskFormat* format = nullptr;
  std::vector<TaskSection> sections;

  std::size_t items() const;
};

/// Reads files of one format; of a directory all its .json, .jsonl and .csv files by name. `format` is a name
/// of the registry, or empty to go by the fields of each first row. Throws Error for anything broken, and
/// when the format is not one for `kind`.
Task load_task(std::span<const std::filesystem::path> paths, TaskKind kind, std::string_view format = {});

/// The same for whatever kind the file has.
Task load_task(std::span<const std::filesystem::path> paths, std::string_view format = {});

std::string_view name_of(TaskKind kind);

}  // namespace twofold
