#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/likelihood.h"
#include "eval/tasks/task.h"

namespace twofold {

struct PromptOptions {
  std::int64_t shots = 0;  // solved examples before each question
  std::uint64_t seed = 0;  // of their choice
  std::int64_t limit = 0;  // use only the first items of each file; 0: all
};

/// An item as the model gets it: description, examples and question.
struct TaskPrompt {
  const TaskItem* item = nullptr;
  std::size_t section = 0;
  std::string before;  // stands before the item's context
};

/// The prompts of a task, in order. Examples come from `shots_from`, where a file of the same subject is used
/// when there are several (its name without _test, _val or _dev), or when that is nullptr from the item's own
/// file without the item. Throws Error when there are fewer than wanted. Both tasks must outlive the result.
std::vector<TaskPrompt> make_prompts(const Task& task, const Task* shots_from, const PromptOptions& options);

/// Tokens of `context` and the `continuation` behind it, as lm-evaluation-harness cuts them: white space at
/// the context's end belongs to the continuation, and what is scored are the tokens of both beyond as many as
/// the context alone has. `bos` is put before everything. A text longer than `context_limit` + 1 loses its
/// beginning, and `truncated` is set. Throws Error, naming `where`, when nothing is left to score or to score
/// it from.
Candidate make_candidate(const Tokenizer& tokenizer, const std::string& context,
                         const std::string& continuation, std::optional<TokenId> bos,
                         std::int64_t context_limit, const std::string& where, bool& truncated);

}  // namespace twofold
