// MMLU (Hendrycks et al. 2020): questions with four answers, a file per subject. Rows of CSV: question, four
// answers, the right one as A-D or 0-3, with or without a header; or {"question", "choices": four, "answer"}.

#include "base/error.h"
#include "eval/tasks/registry.h"
#include "eval/tasks/text_steps.h"

namespace twofold {

namespace {

const std::vector<std::string> kLetters = {"A", "B", "C", "D"};

/// The columns of CSV, by the names that are about: question, answers, the right one.
const std::vector<std::string>* columns(const Record& row) {
  static const std::vector<std::vector<std::string>> known = {
      {"question", "choice0", "choice1", "choice2", "choice3", "answer"},
      {"question", "A", "B", "C", "D", "answer"},
      {"1", "2", "3", "4", "5", "6"},
  };
  for (const auto& names : known) {
    bool all = true;
    for (const std::string& name : names) all = all && row.has(name);
    if (all) return &names;
  }
  return nullptr;
}

std::size_t answer_of(const Record& row, const std::string& field) {
  const std::string text = row.text(field);
  return !text.empty() && text[0] >= 'A' ? row.one_of(field, kLetters) : row.index(field, 4);
}

std::vector<TaskItem> read(const RecordFile& file) {
  std::vector<TaskItem> items;
  for (const Record& row : file.records) {
    std::string question;
    std::vector<std::string> answers;
    std::size_t right = 0;
    if (const auto* names = columns(row)) {
      question = row.text((*names)[0]);
      for (std::size_t i = 1; i <= 4; ++i) answers.push_back(row.text((*names)[i]));
      right = answer_of(row, (*names)[5]);
    } else {
      question = row.text("question");
      answers = row.texts("choices");
      if (answers.size() != 4) fail("{}: \"choices\": expected 4, found {}", row.where(), answers.size());
      right = row.index("answer", 4);
    }
    std::string context = strip(question);
    for (std::size_t i = 0; i < 4; ++i) context += "\n" + kLetters[i] + ". " + answers[i];
    context += "\nAnswer:";
    items.push_back({row.where(), {context}, kLetters, right, context + " " + kLetters[right]});
  }
  return items;
}

bool matches(const Record& row) {
  return columns(row) != nullptr || (row.has("question") && row.has("choices") && row.has("answer"));
}

/// The subject is in the file's name: high_school_physics_test.csv.
std::string description(const std::filesystem::path& file) {
  std::string subject = file.stem().string();
  for (const std::string_view end : {"_test", "_dev", "_val"}) {
    if (subject.size() > end.size() && subject.ends_with(end)) {
      subject.resize(subject.size() - end.size());
      break;
    }
  }
  return "The following are multiple choice questions (with answers) about " +
         replace_all(subject, "_", " ") + ".";
}

}  // namespace

const TaskFormat mmlu_format = {.name = "mmlu",
                                .kind = TaskKind::kChoice,
                                .first_shots = true,
                                .matches = matches,
                                .read = read,
                                .description = description};

}  // namespace twofold
