#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/component.h"

namespace twofold {

/// Turns the strings of tokens back into text.
class TextDecoder {
 public:
  virtual ~TextDecoder() = default;

  /// Rewrites the list of token strings; in the end their concatenation is the text.
  virtual void decode(std::vector<std::string>& tokens) const = 0;

  /// The same for one token in the midst of running text. Its bytes need not be UTF-8: a byte token gives one
  /// byte. `fused` says that an earlier step has joined all tokens, so that a step that works on the ends of
  /// its strings has nothing to do here.
  virtual void decode_piece(std::string& token, bool& fused) const = 0;

  /// How many times longer a string may become, at most.
  virtual double growth() const = 0;
};

/// Parses the "decoder" of a tokenizer.json, or one of a Sequence. `where` names it in errors.
std::unique_ptr<TextDecoder> parse_decoder(const Json& json, const std::string& where);

// One per file decoder_*.cpp.
std::unique_ptr<TextDecoder> parse_bpe_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_byte_fallback_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_byte_level_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_fuse_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_metaspace_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_replace_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_sequence_decoder(const Json& json, const std::string& where);
std::unique_ptr<TextDecoder> parse_strip_decoder(const Json& json, const std::string& where);

}  // namespace twofold
