#include "eval/task_prompts.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace twofold {

namespace {

std::string subject_of(const TaskSection& section) {
  for (const std::string_view end : {"_test", "_val", "_dev", "_validation", "_train"})
    if (section.name.size() > end.size() && section.name.ends_with(end))
      return section.name.substr(0, section.name.size() - end.size());
  return section.name;
}

const TaskSection& source_of(const TaskSection& section, const Task* shots_from) {
  if (shots_from == nullptr) return section;
  if (shots_from->sections.size() == 1) return shots_from->sections[0];
  for (const TaskSection& other : shots_from->sections)
    if (subject_of(other) == subject_of(section)) return other;
  fail("no file of examples is named {}_... as {} needs one", subject_of(section), section.name);
}

/// Indices of the examples for one item: the first ones, or drawn without replacement.
std::vector<std::size_t> choose_shots(std::size_t count, std::size_t available, std::size_t without,
                                      bool first, std::uint64_t seed) {
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < available; ++i)
    if (i != without) all.push_back(i);
  if (!first) {
    Random random(seed);
    for (std::size_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(all.size() - i)]);
  }
  all.resize(count);
  return all;
}

}  // namespace

std::vector<TaskPrompt> make_prompts(const Task& task, const Task* shots_from, const PromptOptions& options) {
  constexpr auto kNone = static_cast<std::size_t>(-1);
  const auto shots = static_cast<std::size_t>(options.shots);
  std::vector<TaskPrompt> prompts;
  for (std::size_t s = 0; s < task.sections.size(); ++s) {
    const TaskSection& section = task.sections[s];
    std::size_t count = section.items.size();
    if (options.limit > 0) count = std::min(count, static_cast<std::size_t>(options.limit));
    const TaskSection* source = shots > 0 ? &source_of(section, shots_from) : nullptr;
    for (std::size_t i = 0; i < count; ++i) {
      TaskPrompt prompt{&section.items[i], s,
                        section.description.empty() ? "" : section.description + "\n\n"};
      if (source != nullptr) {
        const std::size_t without = source == &section ? i : kNone;
        const std::size_t available = source->items.size() - (without == kNone ? 0 : 1);
        if (available < shots) {
          fail("{}: {} examples are wanted, there are {}", source->name, shots, available);
        }
        // Prompts of one item must not depend on how many others there are.
        const std::uint64_t seed = Random(options.seed + (s << 32) + i).next();
        for (const std::size_t shot :
             choose_shots(shots, source->items.size(), without, task.format->first_shots, seed))
          prompt.before += source->items[shot].solved + "\n\n";
      }
      prompts.push_back(std::move(prompt));
    }
  }
  return prompts;
}

Candidate make_candidate(const Tokenizer& tokenizer, const std::string& context,
                         const std::string& continuation, std::optional<TokenId> bos,
                         std::int64_t context_limit, const std::string& where, bool& truncated) {
  const std::size_t kept = context.find_last_not_of(" \t\r\n\f\v") + 1;  // npos + 1: nothing but white space
  Candidate candidate{tokenizer.encode(context + continuation),
                      tokenizer.encode(context.substr(0, kept)).size()};
  if (bos) {
    candidate.tokens.insert(candidate.tokens.begin(), *bos);
    ++candidate.first;
  }
  if (candidate.tokens.size() <= candidate.first) fail("{}: the answer has no tokens", where);
  if (candidate.first == 0) {
    // Something must stand before the first token: as the harness does, a special token.
    const auto first = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
    if (!first) fail("{}: the prompt is empty and the model has no BOS or EOS token", where);
    candidate.tokens.insert(candidate.tokens.begin(), *first);
    ++candidate.first;
  }
  const std::size_t limit = static_cast<std::size_t>(context_limit) + 1;  // the last token is only a target
  if (candidate.tokens.size() > limit) {
    const std::size_t cut = candidate.tokens.size() - limit;
    if (cut >= candidate.first) {
      fail("{}: the answer of {} tokens does not fit the model's context of {}", where,
           candidate.tokens.size() - candidate.first, context_limit);
    }
    candidate.tokens.erase(candidate.tokens.begin(),
                           candidate.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
    candidate.first -= cut;
    truncated = true;
  }
  return candidate;
}

}  // namespace twofold
