// JSON of hostile files: parse_json and the typed access to its fields. Whatever parses must survive being
// written and parsed again.

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace {

using namespace twofold;

template <typename Action>
void expect_only_errors(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  expect_only_errors([&] {
    const Json json = parse_json(text, "input");
    if (parse_json(json.dump(), "again") != json) std::abort();
    expect_only_errors([&] { json_int(json, "a", "input", -5, 5); });
    expect_only_errors([&] { json_double(json, "a", "input", -5, 5); });
    expect_only_errors([&] { json_bool(json, "a", "input", true); });
    expect_only_errors([&] { json_string(json, "a", "input"); });
    expect_only_errors([&] { json_object(json, "a", "input"); });
    expect_only_errors([&] { json_array(json, "a", "input"); });
  });
  if (json_quote(text).size() > 200) std::abort();
  return 0;
}
