#include "model/model_spec.h"

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

namespace {

const Architecture* const kArchitectures[] = {&kLlama};

/// "eos_token_id" is one id or a list of them.
std::vector<std::int64_t> parse_ids(const Json& config, const char* key, std::string_view where) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null()) return {};
  const Json list = it->is_array() ? *it : Json::array({*it});
  std::vector<std::int64_t> ids;
  for (const Json& id : list) {
    if (!id.is_number_integer()) fail("{}: \"{}\": expected token ids, found {}", where, key, id.type_name());
    if (id.get<std::int64_t>() >= 0) ids.push_back(id.get<std::int64_t>());  // -1 is written for "none"
  }
  return ids;
}

}  // namespace

ModelSpec parse_model_spec(const Json& config, std::string_view where) {
  const Json& names = json_array(config, "architectures", where);
  std::string known;
  for (const Architecture* architecture : kArchitectures) {
    for (const Json& name : names) {
      if (!name.is_string() || name.get<std::string>() != architecture->name) continue;
      ModelSpec spec = architecture->parse(config, where);
      spec.architecture = architecture->name;
      const auto bos = parse_ids(config, "bos_token_id", where);
      if (!bos.empty() && bos[0] < spec.vocab_size) spec.bos = bos[0];
      spec.eos = parse_ids(config, "eos_token_id", where);
      return spec;
    }
    known += (known.empty() ? "" : ", ") + std::string(architecture->name);
  }
  fail("{}: \"architectures\": expected one of {}, found {}", where, known, names.dump().substr(0, 100));
}

void resolve_tied_embeddings(ModelSpec& spec, const std::function<bool(const std::string&)>& stored) {
  if (!spec.tied_embeddings || stored(spec.embedding)) return;
  if (!stored("lm_head.weight")) return;
  spec.head.name = "lm_head";
  spec.embedding = spec.head.weight();
}

ModelSpec load_model_spec(const std::filesystem::path& directory) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error))
    fail("{}: no such model directory", directory.string());
  const auto path = directory / "config.json";
  ModelSpec spec = parse_model_spec(read_json_file(path, std::uint64_t{1} << 26), path.string());
  const auto generation = directory / "generation_config.json";
  if (std::filesystem::exists(generation, error)) {
    const Json config = read_json_file(generation, std::uint64_t{1} << 26);
    const auto eos = config.is_object() ? parse_ids(config, "eos_token_id", generation.string())
                                        : std::vector<std::int64_t>{};
    if (!eos.empty()) spec.eos = eos;  // transformers' generate() prefers these too
  }
  return spec;
}

}  // namespace twofold
