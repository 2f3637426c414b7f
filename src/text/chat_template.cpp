#include "text/chat_template.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "tensor/gguf.h"
#include "text/jinja.h"

namespace twofold {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{16} << 20;

/// Templates and tokens as the files of a model tell them.
struct Sources {
  std::optional<std::string> text;
  std::string where;
  std::string bos;
  std::string eos;
};

/// "bos_token" is a text or an object with it.
std::string token_text(const Json& config, const char* key) {
  const auto it = config.find(key);
  if (it == config.end()) return {};
  if (it->is_string()) return it->get<std::string>();
  if (it->is_object() && it->contains("content") && (*it)["content"].is_string()) {
    return (*it)["content"].get<std::string>();
  }
  return {};
}

/// One text, or a list of {"name", "template"} of which "default" is meant.
std::optional<std::string> template_text(const Json& config, const std::string& where) {
  const auto it = config.find("chat_template");
  if (it == config.end() || it->is_null()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  if (it->is_array()) {
    for (const Json& entry : *it) {
      if (json_string(entry, "name", where) == "default") return json_string(entry, "template", where);
    }
    fail("{}: \"chat_template\": expected one with the name \"default\"", where);
  }
  fail("{}: \"chat_template\": expected a string or a list, found {}", where, it->type_name());
}

Sources read_gguf(const fs::path& path) {
  const GgufFile file(path);
  Sources sources;
  sources.where = path.string();
  constexpr const char* kTemplate = "tokenizer.chat_template";
  if (file.has(kTemplate)) sources.text = file.string(kTemplate);
  if (!file.has("tokenizer.ggml.tokens")) return sources;
  const auto tokens = file.strings("tokenizer.ggml.tokens");
  const auto text = [&](const char* key) {
    const std::int64_t id = file.integer(key, -1, INT32_MAX, -1);
    const bool known = id >= 0 && static_cast<std::size_t>(id) < tokens.size();
    return known ? std::string(tokens[static_cast<std::size_t>(id)]) : std::string();
  };
  sources.bos = text("tokenizer.ggml.bos_token_id");
  sources.eos = text("tokenizer.ggml.eos_token_id");
  return sources;
}

Sources read_directory(const fs::path& directory) {
  Sources sources;
  sources.where = directory.string();
  if (fs::exists(directory / "tokenizer.gguf")) sources = read_gguf(directory / "tokenizer.gguf");
  const fs::path config_path = directory / "tokenizer_config.json";
  if (fs::exists(config_path)) {
    const Json config = read_json_file(config_path, kMaxFile);
    if (!config.is_object()) fail("{}: expected an object", config_path.string());
    if (auto text = template_text(config, config_path.string())) {
      sources.text = std::move(text);
      sources.where = config_path.string();
    }
    sources.bos = token_text(config, "bos_token");
    sources.eos = token_text(config, "eos_token");
  }
  const fs::path file = directory / "chat_template.jinja";
  if (fs::exists(file)) {
    sources.text = read_file(file, kMaxFile);
    sources.where = file.string();
  }
  return sources;
}

Sources read_sources(const fs::path& model) {
  std::error_code error;
  if (!fs::exists(model, error)) fail("{}: no such file or directory", model.string());
  return fs::is_directory(model, error) ? read_directory(model) : read_gguf(model);
}

}  // namespace

ChatTemplate::ChatTemplate(std::string source, std::string bos, std::string eos, std::string where)
    : source_(std::move(source)), bos_(std::move(bos)), eos_(std::move(eos)), where_(std::move(where)) {}

ChatTemplate ChatTemplate::load(const fs::path& model) {
  Sources sources = read_sources(model);
  if (!sources.text) {
    fail(
        "{}: no chat template: neither chat_template.jinja nor \"chat_template\" in tokenizer_config.json; "
        "is this "
        "a model for chat?",
        model.string());
  }
  return {std::move(*sources.text), std::move(sources.bos), std::move(sources.eos), std::move(sources.where)};
}

ChatTemplate ChatTemplate::from_file(const fs::path& file, const fs::path& model) {
  Sources sources = read_sources(model);
  return {read_file(file, kMaxFile), std::move(sources.bos), std::move(sources.eos), file.string()};
}

std::string ChatTemplate::render(const std::vector<ChatMessage>& messages, bool add_generation_prompt,
                                 std::time_t now) const {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  const Json variables = {{"messages", std::move(list)},
                          {"add_generation_prompt", add_generation_prompt},
                          {"tools", nullptr},
                          {"documents", nullptr},
                          {"bos_token", bos_},
                          {"eos_token", eos_}};
  return render_jinja(source_, variables, now, where_);
}

}  // namespace twofold
