#pragma once

#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace twofold {

struct ChatMessage {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

/// How a model wants a conversation written: a Jinja template that came with it.
class ChatTemplate {
 public:
  /// From a model directory (chat_template.jinja, or "chat_template" of tokenizer_config.json, where it may
  /// be a list of templates by name, or a tokenizer in a GGUF file) or a GGUF file. Throws Error when there
  /// is none.
  static ChatTemplate load(const std::filesystem::path& model);
  /// A template of one's own for the model, whose BOS and EOS it uses.
  static ChatTemplate from_file(const std::filesystem::path& file, const std::filesystem::path& model);
  ChatTemplate(std::string source, std::string bos, std::string eos, std::string where);

  /// The conversation as text, special tokens in it, BOS too where the model has one; it ends where the
  /// assistant's answer begins if `add_generation_prompt`. Throws Error, see render_jinja.
  std::string render(const std::vector<ChatMessage>& messages, bool add_generation_prompt = true,
                     std::time_t now = std::time(nullptr)) const;

  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::string bos_;  // texts of the tokens; may be empty
  std::string eos_;
  std::string where_;
};

}  // namespace twofold
