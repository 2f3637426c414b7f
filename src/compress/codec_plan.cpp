#include "compress/codec_plan.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

namespace {

constexpr std::uint64_t kMaxPlanBytes = 100'000'000;

std::string codec_field(const Json& object, std::string_view where) {
  std::string name = json_string(object, "codec", where);
  try {
    find_codec(name);
  } catch (const Error& error) {
    fail("{}: \"codec\": {}", where, error.what());
  }
  return name;
}

}  // namespace

const Codec& CodecPlan::codec_of(const std::string& tensor) const {
  const auto it = tensors.find(tensor);
  return find_codec(it == tensors.end() ? codec : it->second);
}

std::string codec_summary(const std::set<std::string>& used) {
  return used.size() == 1 ? *used.begin() : "mixed";
}

CodecPlan parse_codec_plan(const Json& json, std::string_view where) {
  json_int(json, "twofold_plan", where, 1, kPlanVersion);
  CodecPlan plan;
  plan.codec = codec_field(json, where);
  for (const auto& [name, entry] : json_object(json, "tensors", where).items()) {
    plan.tensors.emplace(name,
                         codec_field(entry, fmt::format("{}: \"tensors\": {}", where, json_quote(name))));
  }
  plan.source = where;
  return plan;
}

CodecPlan read_codec_plan(const std::filesystem::path& path) {
  return parse_codec_plan(read_json_file(path, kMaxPlanBytes), path.string());
}

}  // namespace twofold
