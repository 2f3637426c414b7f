#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "text/component.h"

namespace twofold {

/// Rewrites text before the model sees it. Text is valid UTF-8 and stays so.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void normalize(std::string& text) const = 0;

  /// How many times longer text may become, at most.
  virtual double growth() const = 0;
};

/// Parses the "normalizer" of a tokenizer.json, or one of a Sequence. `where` names it in errors.
std::unique_ptr<Normalizer> parse_normalizer(const Json& json, const std::string& where);

// One per file normalizer_*.cpp.
std::unique_ptr<Normalizer> parse_byte_level_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_lowercase_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_nfc_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_nfd_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_nfkc_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_nfkd_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_nmt_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_precompiled_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_prepend_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_replace_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_sequence_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_strip_normalizer(const Json& json, const std::string& where);
std::unique_ptr<Normalizer> parse_strip_accents_normalizer(const Json& json, const std::string& where);

}  // namespace twofold
