#include <fmt/core.h>

#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "cli/command.h"
#include "cli/line_reader.h"
#include "cli/memory_flags.h"
#include "cli/output.h"
#include "cli/sampling_flags.h"
#include "cli/thread_flags.h"
#include "runtime/chat_session.h"

namespace twofold {

namespace {

constexpr const char* kHelp =
    "/reset  forget the conversation\n"
    "/exit   leave, as Ctrl-D does\n"
    "/help   this list\n"
    "A backslash at the end of a line continues the message on the next. Ctrl-C stops an answer.\n";

struct Flags {
  std::string model;
  std::string chat_template;
  std::string system;
  std::int64_t count = 1024;
  SamplingOptions sampling;
  ThreadFlags threads;
  MemoryFlags memory;
  std::int64_t context = 0;
  bool stats = false;
};

double rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

void print_remarks(const ChatReply& reply, bool stats) {
  if (reply.dropped_messages > 0) {
    fmt::print(stderr, "[the context is full: the oldest {} messages were forgotten]\n",
               reply.dropped_messages);
  }
  if (reply.stats.end == GenerationStats::End::kContext) {
    fmt::print(stderr, "[the context is full: the answer ends here]\n");
  }
  if (!stats) return;
  fmt::print(stderr, "[{} tokens kept, {} new at {:.1f}/s, {} generated at {:.1f}/s]\n", reply.reused_tokens,
             reply.stats.prompt_tokens, rate(reply.stats.prompt_tokens, reply.stats.prefill_seconds),
             reply.stats.generated_tokens, rate(reply.stats.decode_passes, reply.stats.decode_seconds));
}

/// False to leave. Lines that begin with a slash are commands.
bool run_command(const std::string& line, ChatSession& session) {
  if (line == "/exit" || line == "/quit") return false;
  if (line == "/reset") {
    session.reset();
    fmt::print(stderr, "[forgotten]\n");
  } else if (line == "/help") {
    fmt::print(stderr, "{}", kHelp);
  } else {
    fmt::print(stderr, "[no such command; /help lists them]\n");
  }
  return true;
}

void answer(const std::string& message, const Flags& flags, ChatSession& session, Sampler& sampler) {
  const ChatReply reply =
      session.reply(message, flags.count, sampler, [](std::string_view text) { print_out(text); });
  print_out("\n");
  print_remarks(reply, flags.stats);
}

void chat(const Flags& flags) {
  check(flags.sampling);
  const ChatTemplate chat_template = flags.chat_template.empty()
                                         ? ChatTemplate::load(flags.model)
                                         : ChatTemplate::from_file(flags.chat_template, flags.model);
  const auto tokenizer = load_tokenizer(flags.model);
  constexpr std::int64_t kContext = 4096;  // a model's own may take more memory than its weights
  const std::int64_t context = flags.context == 0 && flags.memory.given() ? kContext : flags.context;
  const MemoryUse use = {.context = context, .prompt = ChatSession::kPromptBlock};
  Model model(flags.model, {.threads = flags.threads.threads,
                            .cpus = flags.threads.cpu_list(),
                            .context = context,
                            .memory = flags.memory.options(use)});
  ChatSession session(model, *tokenizer, chat_template, flags.system);
  Sampler sampler(flags.sampling);
  LineReader input;
  if (input.terminal())
    fmt::print(stderr, "Context of {} tokens. /help lists commands.\n", model.spec().max_positions);
  while (const auto message = input.read()) {
    if (message->find_first_not_of(" \t\n") == std::string::npos) continue;
    if (message->starts_with('/')) {
      if (!run_command(*message, session)) return;
      continue;
    }
    try {
      answer(*message, flags, session, sampler);
    } catch (const Error& error) {
      if (!input.terminal()) throw;  // a program reads along: it must see the failure
      fmt::print(stderr, "[{}]\n", error.what());
    }
    if (interrupted() && !input.terminal()) throw Interrupted("interrupted");
    clear_interrupt();
  }
  if (input.terminal()) print_out("\n");
  if (!input.terminal()) check_interrupt();
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a model that was trained for it");
  command->add_option("-m,--model", flags->model, "Model directory, original or Twofold, or GGUF file")
      ->required();
  command->add_option("--system", flags->system, "System prompt");
  command->add_option("--chat-template", flags->chat_template,
                      "Jinja file in place of the model's own template");
  command->add_option("-n,--predict", flags->count, "Tokens of an answer, at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  add_sampling_flags(*command, flags->sampling);
  command
      ->add_option("-c,--context", flags->context,
                   "Tokens of the conversation, at most; 0: the model's context, with --memory at most 4096")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  flags->threads.add_to(*command);
  flags->memory.add_to(*command);
  command->add_flag("--stats", flags->stats, "Print tokens and speed after each answer");
  command->footer(std::string("In the conversation:\n") + kHelp);
  command->callback([flags] { chat(*flags); });
}

}  // namespace twofold
