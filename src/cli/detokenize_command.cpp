#include <fmt/core.h>

#include <charconv>
#include <cstdio>
#include <istream>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/text_input.h"
#include "text/tokenizer.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::string file = "-";
  bool whole = false;
  bool special = false;
};

/// Appends the ids of a line; `number` counts the lines from 1.
void parse_ids(const std::string& line, const std::string& file, std::size_t number,
               std::vector<TokenId>& ids) {
  const char* at = line.data();
  const char* const end = at + line.size();
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (at != end) {
    if (is_space(*at)) {
      ++at;
      continue;
    }
    TokenId id = 0;
    const auto [stop, error] = std::from_chars(at, end, id);
    if (error != std::errc() || (stop != end && !is_space(*stop))) {
      fail("{}: line {}: expected ids with spaces between, found {}", file, number,
           json_quote(std::string_view(at, static_cast<std::size_t>(end - at))));
    }
    ids.push_back(id);
    at = stop;
  }
}

void print_text(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail("standard output: cannot write");
}

void detokenize(const Flags& flags) {
  const auto tokenizer = load_tokenizer(flags.model);
  TextInput in(flags.file);
  const auto decode = [&](const std::vector<TokenId>& ids) {
    print_text(flags.special ? tokenizer->decode_with_special(ids) : tokenizer->decode(ids));
  };
  std::vector<TokenId> ids;
  std::size_t number = 0;
  for (std::string line; std::getline(in.stream(), line);) {
    parse_ids(line, flags.file, ++number, ids);
    if (flags.whole) continue;
    decode(ids);
    print_text("\n");
    ids.clear();
  }
  in.check();
  if (flags.whole) decode(ids);
}

}  // namespace

void add_detokenize_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("detokenize", "Print the text of token ids, a line for each line");
  command->add_option("-m,--model", flags->model, "Model directory, GGUF file or tokenizer file")->required();
  command->add_option("FILE", flags->file, "Ids in decimal; - reads standard input")->capture_default_str();
  command->add_flag("--whole", flags->whole, "Take all ids as one text and add no line end");
  command->add_flag("--special", flags->special, "Print special tokens too");
  command->callback([flags] { detokenize(*flags); });
}

}  // namespace twofold
