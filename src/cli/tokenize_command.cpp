#include <fmt/core.h>

#include <cstdio>
#include <istream>
#include <iterator>
#include <memory>

#include "cli/command.h"
#include "cli/text_input.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace twofold {

namespace {

struct Flags {
  std::string model;
  std::string file = "-";
  bool ids = false;
  bool whole = false;
  bool no_special = false;
};

void print_ids(const std::vector<TokenId>& ids) {
  std::string line;
  for (const TokenId id : ids) {
    if (!line.empty()) line += ' ';
    line += std::to_string(id);
  }
  fmt::print("{}\n", line);
}

/// In quotes, with what is not printable UTF-8 as \xHH.
std::string quote_piece(std::string_view piece) {
  std::string quoted = "\"";
  for (std::size_t at = 0; at < piece.size();) {
    const Utf8Step step = utf8_step(piece, at);
    const auto byte = static_cast<unsigned char>(piece[at]);
    const std::string_view part = piece.substr(at, step.length);
    at += step.length;
    if (step.valid && byte >= 0x20 && byte != 0x7f && byte != '"' && byte != '\\') {
      quoted += part;
    } else {
      for (const char c : part) quoted += fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
    }
  }
  return quoted + '"';
}

/// A line for each token, and an empty one behind the last.
void print_pieces(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) {
    const std::string piece = tokenizer.piece(id);  // nothing for a special token
    fmt::print("{:6} {}\n", id, quote_piece(piece.empty() ? tokenizer.decode_with_special({id}) : piece));
  }
  fmt::print("\n");
}

void tokenize(const Flags& flags) {
  const auto tokenizer = load_tokenizer(flags.model);
  TextInput in(flags.file);
  const auto encode = [&](const std::string& text) {
    const auto ids = flags.no_special ? tokenizer->encode(text) : tokenizer->encode_prompt(text);
    if (flags.ids) {
      print_ids(ids);
    } else {
      print_pieces(*tokenizer, ids);
    }
  };
  if (flags.whole) {
    encode(std::string(std::istreambuf_iterator<char>(in.stream()), {}));
  } else {
    for (std::string line; std::getline(in.stream(), line);) encode(line);
  }
  in.check();
}

}  // namespace

void add_tokenize_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("tokenize", "Print the tokens of each line of a text");
  command->add_option("-m,--model", flags->model, "Model directory, GGUF file or tokenizer file")->required();
  command->add_option("FILE", flags->file, "Text; - reads standard input")->capture_default_str();
  command->add_flag("--ids", flags->ids, "Print ids alone: a line of them for each line of the text");
  command->add_flag("--whole", flags->whole, "Take the text as one, with its line ends");
  command->add_flag("--no-special", flags->no_special, "Add no token before or behind the text");
  command->callback([flags] { tokenize(*flags); });
}

}  // namespace twofold
