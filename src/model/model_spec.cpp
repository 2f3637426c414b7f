#include "model/model_spec.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/config_reader.h"
#include "model/gguf_model.h"
#include "model/registry.h"

namespace twofold {

namespace {

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

/// Weights quantized by another method would be read as something they are not.
void check_quantization(const Json& config, std::string_view where) {
  const auto it = config.find("quantization_config");
  if (it == config.end() || it->is_null()) return;
  const std::string method =
      it->is_object() ? json_string(*it, "quant_method", where, "?") : std::string(it->type_name());
  if (method != "twofold") {
    fail("{}: \"quantization_config\": weights quantized by another method ({}) cannot be read", where,
         json_quote(method));
  }
}

/// Calls change(name) for the name of every tensor in the spec.
template <typename Change>
void change_names(ModelSpec& spec, const Change& change) {
  const auto linears = [&](std::vector<LinearSpec>& list) {
    for (LinearSpec& linear : list) change(linear.name);
  };
  const auto feed_forward = [&](FeedForwardSpec& mlp) {
    linears(mlp.in);
    change(mlp.down.name);
  };
  for (std::string* name : {&spec.embedding, &spec.positions.name, &spec.project_in.name,
                            &spec.project_out.name, &spec.final_norm.name, &spec.head.name})
    change(*name);
  for (LayerSpec& layer : spec.layers) {
    for (NormSpec* norm : {&layer.attention_input, &layer.attention_output, &layer.residual_norm,
                           &layer.feed_forward_input, &layer.feed_forward_output, &layer.final_residual_norm,
                           &layer.attention.q_norm, &layer.attention.k_norm})
      change(norm->name);
    linears(layer.attention.qkv);
    change(layer.attention.out.name);
    feed_forward(layer.feed_forward);
    if (!layer.moe) continue;
    MoeSpec moe = *layer.moe;
    change(moe.router.name);
    for (FeedForwardSpec& expert : moe.experts) feed_forward(expert);
    feed_forward(moe.shared);
    change(moe.shared_gate.name);
    layer.moe = std::make_shared<const MoeSpec>(std::move(moe));
  }
}

void append(std::vector<const LinearSpec*>& list, const FeedForwardSpec& mlp) {
  for (const LinearSpec& linear : mlp.in) list.push_back(&linear);
  if (mlp.down.present()) list.push_back(&mlp.down);
}

}  // namespace

std::vector<const LinearSpec*> LayerSpec::linears() const {
  std::vector<const LinearSpec*> list;
  for (const LinearSpec& linear : attention.qkv) list.push_back(&linear);
  list.push_back(&attention.out);
  append(list, feed_forward);
  if (moe) {
    for (const FeedForwardSpec& expert : moe->experts) append(list, expert);
    append(list, moe->shared);
  }
  return list;
}

std::vector<const LinearSpec*> LayerSpec::routers() const {
  if (!moe) return {};
  std::vector<const LinearSpec*> list = {&moe->router};
  if (moe->shared_gate.present()) list.push_back(&moe->shared_gate);
  return list;
}

std::vector<const NormSpec*> LayerSpec::norms() const {
  std::vector<const NormSpec*> list;
  for (const NormSpec* norm :
       {&attention_input, &attention.q_norm, &attention.k_norm, &attention_output, &residual_norm,
        &feed_forward_input, &feed_forward_output, &final_residual_norm}) {
    if (norm->present()) list.push_back(norm);
  }
  return list;
}

ModelSpec parse_model_spec(const Json& config, std::string_view where) {
  const Json& names = json_array(config, "architectures", where);
  std::string known;
  for (const Architecture& architecture : architectures()) {
    for (const Json& name : names) {
      if (!name.is_string() || name.get<std::string>() != architecture.name) continue;
      check_quantization(config, where);
      ConfigReader reader(config, where);
      ModelSpec spec = architecture.parse(reader);
      reader.finish();
      spec.architecture = architecture.name;
      const auto bos = parse_ids(config, "bos_token_id", where);
      if (!bos.empty() && bos[0] < spec.vocab_size) spec.bos = bos[0];
      spec.eos = parse_ids(config, "eos_token_id", where);
      return spec;
    }
    known += (known.empty() ? "" : ", ") + std::string(architecture.name);
  }
  fail("{}: \"architectures\": expected one of {}, found {}", where, known, names.dump().substr(0, 100));
}

void resolve_names(ModelSpec& spec, const std::function<bool(const std::string&)>& stored) {
  const std::string head = spec.untied_head + ".weight";
  if (!stored(spec.embedding) && spec.embedding.starts_with(spec.prefix) &&
      stored(spec.embedding.substr(spec.prefix.size()))) {
    change_names(spec, [&](std::string& name) {
      if (name.starts_with(spec.prefix)) name = name.substr(spec.prefix.size());
    });
  }
  if (!spec.tied_embeddings || stored(spec.embedding) || !stored(head)) return;
  spec.head.name = spec.untied_head;
  spec.embedding = head;
}

bool is_buffer(std::string_view name) {
  for (const std::string_view suffix : {".rotary_emb.inv_freq", ".masked_bias", ".attn.bias",
                                        ".attention.bias", ".embed_tokens.embed_scale"}) {
    if (name.ends_with(suffix)) return true;
  }
  return false;
}

ModelSpec load_model_spec(const std::filesystem::path& directory) {
  std::error_code error;
  if (is_gguf_model(directory)) return parse_model_spec(gguf_config(GgufFile(directory)), directory.string());
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
