#include "text/tokenizer_files.h"

#include "base/error.h"
#include "base/file.h"

namespace twofold {

namespace {

// Real files: at most 35 MB and, with long chat templates, 0.3 MB.
constexpr std::uint64_t kMaxTokenizerBytes = std::uint64_t{128} << 20;
constexpr std::uint64_t kMaxConfigBytes = std::uint64_t{16} << 20;

std::string read_beside(const std::filesystem::path& directory, const char* name) {
  const std::filesystem::path path = directory / name;
  return std::filesystem::exists(path) ? read_file(path, kMaxConfigBytes) : std::string();
}

/// What the files beside a tokenizer's say.
TokenizerConfig read_config(const std::filesystem::path& directory) {
  const auto path = [&](const char* name) { return (directory / name).string(); };
  TokenizerConfig config =
      parse_tokenizer_config(read_beside(directory, "tokenizer_config.json"), path("tokenizer_config.json"));
  if (const std::string text = read_beside(directory, "special_tokens_map.json"); !text.empty()) {
    add_special_tokens_map(text, path("special_tokens_map.json"), config);
  }
  if (const std::string text = read_beside(directory, "added_tokens.json"); !text.empty()) {
    add_added_tokens_file(text, path("added_tokens.json"), config);
  }
  return config;
}

bool is_tiktoken(std::string_view text) {
  // A line of base64, a space, a number. SentencePiece's first byte is a tag.
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos || space + 1 == line.size() || line.size() > 4096) return false;
  return line.find_first_not_of("0123456789\r", space + 1) == std::string_view::npos;
}

std::unique_ptr<Tokenizer> load_file(const std::filesystem::path& path) {
  std::string head(4, '\0');
  const File file(path);
  if (file.size() >= head.size()) {
    file.read(0, {reinterpret_cast<std::uint8_t*>(head.data()), head.size()});
  }
  if (head == "GGUF") return parse_gguf_tokenizer(GgufFile(path));
  const std::string text = read_file(path, kMaxTokenizerBytes);
  const std::filesystem::path directory = path.parent_path();
  const std::string where = path.string();
  if (path.filename() == "tekken.json") return parse_tekken(text, read_config(directory), where);
  if (text.starts_with('{')) {
    return parse_tokenizer_json(text, read_beside(directory, "tokenizer_config.json"), where);
  }
  if (is_tiktoken(text)) return parse_tiktoken_ranks(text, read_config(directory), where);
  return parse_sentencepiece_model(text, read_config(directory), where);
}

std::unique_ptr<Tokenizer> load_vocab_and_merges(const std::filesystem::path& vocab,
                                                 const std::filesystem::path& merges) {
  return parse_vocab_and_merges(read_file(vocab, kMaxTokenizerBytes), read_file(merges, kMaxTokenizerBytes),
                                read_config(vocab.parent_path()), vocab.string(), merges.string());
}

/// The one file with this ending, or nothing.
std::optional<std::filesystem::path> only_file(const std::filesystem::path& directory, const char* ending) {
  std::optional<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ending || !entry.is_regular_file()) continue;
    if (found) return std::nullopt;
    found = entry.path();
  }
  return found;
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return load_file(path);
  for (const char* name : {"tokenizer.json", "tokenizer.model"}) {
    if (std::filesystem::exists(path / name)) return load_file(path / name);
  }
  constexpr const char* kPairs[][2] = {{"vocab.json", "merges.txt"}, {"gpt2-vocab.json", "gpt2-merges.txt"}};
  for (const auto& [vocab, merges] : kPairs) {
    if (std::filesystem::exists(path / vocab) && std::filesystem::exists(path / merges)) {
      return load_vocab_and_merges(path / vocab, path / merges);
    }
  }
  if (std::filesystem::exists(path / "tekken.json")) return load_file(path / "tekken.json");
  for (const char* ending : {".tiktoken", ".gguf"}) {
    if (const auto file = only_file(path, ending)) return load_file(*file);
  }
  fail(
      "{}: no tokenizer: expected tokenizer.json, tokenizer.model, vocab.json with merges.txt, tekken.json, "
      "one "
      "*.tiktoken or one *.gguf",
      path.string());
}

}  // namespace twofold
