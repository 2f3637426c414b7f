#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

using TokenId = std::int32_t;

/// Turns text into token ids and back. Thread-safe once built.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Ids of a text of any bytes: bytes that are not UTF-8 become U+FFFD, as in the reference. Time is
  /// O(n log n) in the length; more than 256 MiB at once are an Error. Added and special tokens in the text
  /// are recognised. No BOS or EOS is added: that is `encode_prompt`.
  virtual std::vector<TokenId> encode(std::string_view text) const = 0;

  /// As `encode`, with BOS (and EOS) where the model's files ask for them.
  virtual std::vector<TokenId> encode_prompt(std::string_view text) const = 0;

  /// Text of the ids, special tokens left out; unknown ids are an Error.
  virtual std::string decode(const std::vector<TokenId>& ids) const = 0;

  /// The same with special tokens kept.
  virtual std::string decode_with_special(const std::vector<TokenId>& ids) const = 0;

  /// The bytes one token adds to running text (" the", one byte of a byte-fallback token, nothing for a
  /// special token). Streaming concatenates them; the leading space that `decode` strips is kept.
  virtual std::string piece(TokenId id) const = 0;

  virtual std::int64_t vocab_size() const = 0;  // ids are in [0, vocab_size)
  virtual std::optional<TokenId> bos() const = 0;
  virtual std::optional<TokenId> eos() const = 0;
};

/// Loads the tokenizer of a Hugging Face directory or of one file: tokenizer.json, SentencePiece's
/// tokenizer.model, vocab.json with merges.txt, tiktoken's ranks, tekken.json or a GGUF file, whichever of
/// these a directory has first, with tokenizer_config.json and the like beside it. Throws Error, naming file
/// and field, for what is broken or of a kind not known.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& path);

/// The reader of tokenizer.json, for text that need not come from a file. `where` names the source in errors;
/// `config` is the text of tokenizer_config.json or empty.
std::unique_ptr<Tokenizer> parse_tokenizer_json(std::string_view json, std::string_view config,
                                                std::string_view where);

}  // namespace twofold
