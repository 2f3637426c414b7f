#include "text/chat_template.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "expect_error.h"
#include "support/gguf_builder.h"
#include "support/temp_directory.h"
#include "text/utf8_stream.h"

namespace twofold {
namespace {

using ::testing::HasSubstr;

/// What Jinja2 makes of templates and conversations; see tools/make_chat_fixtures.py.
const Json& reference() {
  static const Json fixture =
      read_json_file(std::filesystem::path(TWOFOLD_SOURCE_DIR) / "tests/text/data/chat_templates.json");
  return fixture;
}

std::vector<ChatMessage> conversation(const std::string& name) {
  std::vector<ChatMessage> messages;
  for (const Json& message : reference()["conversations"][name]) {
    messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  return messages;
}

void expect_reference(const std::string& source, const Json& cases, const std::string& name) {
  const ChatTemplate chat(source, "<s>", "</s>", name);
  const auto now = reference()["now"].get<std::time_t>();
  for (const auto& [key, expected] : cases.items()) {
    if (expected.contains("text")) {
      EXPECT_EQ(chat.render(conversation(key), true, now), expected["text"].get<std::string>())
          << name << " " << key;
    } else {
      EXPECT_THAT(error_of([&, &key = key] { chat.render(conversation(key), true, now); }), HasSubstr(name))
          << expected["error"];
    }
    if (expected.contains("without_prompt")) {
      EXPECT_EQ(chat.render(conversation(key), false, now), expected["without_prompt"].get<std::string>())
          << name;
    }
  }
}

class ChatTemplateTest : public ::testing::Test {
 protected:
  void SetUp() override {
#ifndef TWOFOLD_CHAT
    GTEST_SKIP() << "built without chat templates";
#endif
  }
};

TEST_F(ChatTemplateTest, RendersAsTheReferenceDoes) {
  for (const auto& [name, entry] : reference()["templates"].items()) {
    expect_reference(entry["source"].get<std::string>(), entry["cases"], name);
  }
}

TEST_F(ChatTemplateTest, TemplatesOfRealModelsRenderAsTheReferenceDoes) {
  const std::filesystem::path directory = std::filesystem::path(TWOFOLD_SHARED_DIR) / "templates";
  if (!std::filesystem::exists(directory)) GTEST_SKIP() << "no " << directory;
  for (const auto& [name, entry] : reference()["models"].items()) {
    if (std::filesystem::exists(directory / name)) {
      expect_reference(read_file(directory / name), entry["cases"], name);
    }
  }
}

TEST_F(ChatTemplateTest, ARefusedConversationIsAnErrorThatSaysWhy) {
  const ChatTemplate chat("{{ raise_exception('roles must alternate') }}", "", "", "m");
  EXPECT_EQ(error_of([&] { chat.render({}); }), "m: chat template: \"roles must alternate\"");
}

TEST_F(ChatTemplateTest, BrokenAndEndlessTemplatesAreErrors) {
  const auto refusal = [](const std::string& source) {
    return error_of([&] { ChatTemplate(source, "", "", "m").render({{"user", "x"}}); });
  };
  EXPECT_THAT(refusal("{% if %}"), HasSubstr("m: chat template: "));
  EXPECT_THAT(refusal("{{ 'a' "), HasSubstr("m: chat template: "));
  EXPECT_THAT(refusal("{% break %}"), HasSubstr("m: "));
  EXPECT_THAT(refusal("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"), HasSubstr("m: "));
  EXPECT_THAT(refusal("{{" + std::string(500'000, '(') + "}}"), HasSubstr("m: "));
  EXPECT_THAT(refusal(std::string((1 << 20) + 1, 'x')), HasSubstr("expected at most 1048576"));
}

TEST_F(ChatTemplateTest, ComesFromTheFilesOfAModel) {
  const TempDirectory directory;
  const auto text = [&] { return ChatTemplate::load(directory.path()).render({{"user", "hi"}}); };
  EXPECT_THAT(error_of(text), HasSubstr("no chat template"));

  std::ofstream(directory / "tokenizer_config.json")
      << R"({"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": "{{ bos_token }}1{{ eos_token }}"})";
  EXPECT_EQ(text(), "<s>1</s>");
  std::ofstream(directory / "tokenizer_config.json")
      << R"({"bos_token": "<b>", "chat_template": [{"name": "rag", "template": "2"}, {"name": "default", "template": "3"}]})";
  EXPECT_EQ(text(), "3");
  std::ofstream(directory / "tokenizer_config.json")
      << R"({"bos_token": "<b>", "chat_template": [{"name": "rag", "template": "2"}]})";
  EXPECT_THAT(error_of(text), HasSubstr("expected one with the name \"default\""));
  std::ofstream(directory / "tokenizer_config.json") << R"({"bos_token": "<b>", "chat_template": "4"})";
  std::ofstream(directory / "chat_template.jinja") << "{{ bos_token }}{{ messages[0].content }}";
  EXPECT_EQ(text(), "<b>hi") << "a file of its own comes first";
  std::ofstream(directory / "own.jinja") << "own{{ bos_token }}";
  EXPECT_EQ(ChatTemplate::from_file(directory / "own.jinja", directory.path()).render({}), "own<b>");
}

TEST_F(ChatTemplateTest, ComesFromAGgufFile) {
  const TempDirectory directory;
  const auto write = [&](const GgufBuilder& builder, const std::string& name) {
    const auto bytes = builder.build();
    write_file(directory / name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  };
  GgufBuilder builder;
  builder.strings("tokenizer.ggml.tokens", {"a", "<s>"})
      .uint32("tokenizer.ggml.bos_token_id", 1)
      .uint32("tokenizer.ggml.eos_token_id", 7);
  write(builder, "none.gguf");
  EXPECT_THAT(error_of([&] { ChatTemplate::load(directory / "none.gguf"); }), HasSubstr("no chat template"));
  builder.string("tokenizer.chat_template", "{{ bos_token }}x{{ eos_token }}");
  write(builder, "tokenizer.gguf");
  EXPECT_EQ(ChatTemplate::load(directory / "tokenizer.gguf").render({}), "<s>x");
  EXPECT_EQ(ChatTemplate::load(directory.path()).render({}), "<s>x");
}

TEST(Utf8Stream, HandsOnWholeCharacters) {
  Utf8Stream stream;
  EXPECT_EQ(stream.add("a\xc3"), "a");
  EXPECT_EQ(stream.add("\xbc"), "\xc3\xbc");
  EXPECT_EQ(stream.add("\xf0\x9f"), "");
  EXPECT_EQ(stream.add("\x98"), "");
  EXPECT_EQ(stream.add("\x80!"), "\xf0\x9f\x98\x80!");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Utf8Stream, BytesThatAreNoCharacterAreReplaced) {
  Utf8Stream stream;
  EXPECT_EQ(stream.add("\xff\x80z"), "\xef\xbf\xbd\xef\xbf\xbdz");
  EXPECT_EQ(stream.add("\xe4"), "");
  EXPECT_EQ(stream.add("b"),
            "\xef\xbf\xbd"
            "b");
  EXPECT_EQ(stream.add("\xe4\xb8"), "");
  EXPECT_EQ(stream.finish(), "\xef\xbf\xbd");
}

}  // namespace
}  // namespace twofold
