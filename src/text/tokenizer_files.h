#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "tensor/gguf.h"
#include "text/tokenizer.h"
#include "text/tokenizer_config.h"

namespace twofold {

// One reader per kind of file, each in tokenizer_*.cpp; `parse_tokenizer_json` stands in tokenizer.h.
// `config` is what the files beside it say, `where` the path for errors. All throw Error, naming file and
// field.

/// SentencePiece's model (protocol buffers), BPE or unigram.
std::unique_ptr<Tokenizer> parse_sentencepiece_model(std::string_view bytes, const TokenizerConfig& config,
                                                     const std::string& where);

/// tiktoken's ranks: lines of a token in base64 and its rank.
std::unique_ptr<Tokenizer> parse_tiktoken_ranks(std::string_view text, const TokenizerConfig& config,
                                                const std::string& where);

/// vocab.json and merges.txt of GPT-2 and those after it.
std::unique_ptr<Tokenizer> parse_vocab_and_merges(std::string_view vocab, std::string_view merges,
                                                  const TokenizerConfig& config, const std::string& where,
                                                  const std::string& where_merges);

/// Mistral's tekken.json.
std::unique_ptr<Tokenizer> parse_tekken(std::string_view json, const TokenizerConfig& config,
                                        const std::string& where);

/// The vocabulary in the metadata of a GGUF file.
std::unique_ptr<Tokenizer> parse_gguf_tokenizer(const GgufFile& file);

}  // namespace twofold
