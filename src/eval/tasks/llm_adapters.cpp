#include "eval/tasks/llm_adapters.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

bool is_adapters_row(const Record& row, std::string_view mark) {
  if (!row.has("instruction") || !row.has("answer")) return false;
  const Json& instruction = row.fields().at("instruction");
  return instruction.is_string() && instruction.get_ref<const std::string&>().find(mark) != std::string::npos;
}

std::vector<std::string> adapters_parts(const Record& row, std::initializer_list<std::string_view> marks) {
  const std::string text = row.text("instruction");
  std::vector<std::string> parts;
  std::size_t at = 0;
  for (const std::string_view& mark : marks) {
    const bool first = &mark == marks.begin();
    const bool last = &mark + 1 == marks.end();
    std::size_t found = text.find(mark, at);
    if (last && mark.empty()) found = text.size();
    if (found == std::string::npos || (first && found != 0) || (last && found + mark.size() != text.size()))
      fail("{}: \"instruction\": expected {}", row.where(), json_quote(mark));
    if (!first) parts.push_back(text.substr(at, found - at));
    at = found + mark.size();
  }
  return parts;
}

}  // namespace twofold
