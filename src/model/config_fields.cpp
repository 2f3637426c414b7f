#include "model/config_fields.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;

std::vector<float> read_divisors(ConfigReader& config, const char* key, std::int64_t count) {
  const Json* list = config.find(key);
  const bool fits = list != nullptr && list->is_array() && static_cast<std::int64_t>(list->size()) == count;
  if (!fits) fail("{}: \"{}\": expected a list of {} numbers", config.where(), key, count);
  std::vector<float> values;
  for (const Json& item : *list) {
    const double value = item.is_number() ? item.get<double>() : 0;
    if (!(value > 0 && value < kMaxFactor))
      fail("{}: \"{}\": expected positive numbers", config.where(), key);
    values.push_back(static_cast<float>(value));
  }
  return values;
}

double yarn_magnitude(double factor, double scale) {
  return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

/// Everything of a scaling but theta and the share of channels. `original` is the model's own field.
void read_scaling(ConfigReader& config, std::string type, ModelSpec& spec,
                  std::optional<std::int64_t> original, RopeSpec& rope) {
  using Scaling = RopeSpec::Scaling;
  if (type == "su") type = "longrope";  // its first name
  if (type == "default") return;
  constexpr std::pair<const char*, Scaling> kTypes[] = {{"linear", Scaling::kLinear},
                                                        {"dynamic", Scaling::kDynamic},
                                                        {"llama3", Scaling::kLlama3},
                                                        {"yarn", Scaling::kYarn},
                                                        {"longrope", Scaling::kLongRope}};
  for (const auto& [name, scaling] : kTypes) {
    if (type == name) rope.scaling = scaling;
  }
  if (rope.scaling == Scaling::kNone) {
    fail("{}: expected rope type default, linear, dynamic, llama3, yarn or longrope, found {}",
         config.where(), json_quote(type));
  }
  const double ratio =
      original ? static_cast<double>(spec.max_positions) / static_cast<double>(*original) : 1;
  const bool long_rope = rope.scaling == Scaling::kLongRope;
  rope.factor = config.number("factor", 1e-3, kMaxFactor,
                              long_rope ? std::optional(std::max(ratio, 1e-3)) : std::nullopt);
  const bool must_tell = rope.scaling == Scaling::kLlama3;
  const std::int64_t fallback = original.value_or(spec.max_positions);
  rope.original_positions = config.integer("original_max_position_embeddings", 1, kMaxDimension,
                                           must_tell ? std::nullopt : std::optional(fallback));
  switch (rope.scaling) {
    case Scaling::kLlama3:
      rope.low_freq_factor = config.number("low_freq_factor", 1e-3, kMaxFactor);
      rope.high_freq_factor = config.number("high_freq_factor", 1e-3, kMaxFactor);
      if (rope.high_freq_factor <= rope.low_freq_factor) {
        fail("{}: \"high_freq_factor\": expected more than low_freq_factor, found {}", config.where(),
             rope.high_freq_factor);
      }
      break;
    case Scaling::kDynamic:
      rope.original_positions = spec.max_positions;  // as the reference does, whatever the field says
      if (rope.dims <= 2) fail("{}: dynamic scaling needs more than 2 channels", config.where());
      spec.max_positions =
          std::max(spec.max_positions,
                   static_cast<std::int64_t>(static_cast<double>(spec.max_positions) * rope.factor));
      break;
    case Scaling::kYarn: {
      rope.beta_fast = config.number("beta_fast", 1e-3, kMaxFactor, 32.0);
      rope.beta_slow = config.number("beta_slow", 1e-3, kMaxFactor, 1.0);
      rope.truncate = config.flag("truncate", true);
      const double scale = config.number("mscale", 0, kMaxFactor, 0.0);
      const double scale_all = config.number("mscale_all_dim", 0, kMaxFactor, 0.0);
      rope.magnitude =
          static_cast<float>(scale > 0 && scale_all > 0
                                 ? yarn_magnitude(rope.factor, scale) / yarn_magnitude(rope.factor, scale_all)
                                 : yarn_magnitude(rope.factor, 1));
      spec.max_positions =
          std::max(spec.max_positions,
                   static_cast<std::int64_t>(static_cast<double>(rope.original_positions) * rope.factor));
      break;
    }
    case Scaling::kLongRope:
      rope.short_divisors = read_divisors(config, "short_factor", rope.dims / 2);
      rope.long_divisors = read_divisors(config, "long_factor", rope.dims / 2);
      if (original) rope.factor = ratio;
      if (rope.factor > 1) {
        rope.magnitude = static_cast<float>(
            std::sqrt(1 + std::log(rope.factor) / std::log(static_cast<double>(rope.original_positions))));
      }
      break;
    default:
      break;
  }
  if (rope.scaling == Scaling::kYarn || long_rope) {
    rope.magnitude = static_cast<float>(config.number("attention_factor", 1e-6, kMaxFactor, rope.magnitude));
  }
}

std::int64_t rotated_channels(const ConfigReader& config, const ModelSpec& spec, double share) {
  const auto dims = static_cast<std::int64_t>(static_cast<double>(spec.head_dim) * share);
  if (dims < 2 || dims % 2 != 0) {
    fail("{}: \"head_dim\": expected an even number of rotated channels, found {} of {}", config.where(),
         dims, spec.head_dim);
  }
  return dims;
}

}  // namespace

void read_heads(ConfigReader& config, ModelSpec& spec, const char* heads, const char* kv_heads,
                bool has_head_dim) {
  spec.heads = config.integer(heads, 1, kMaxHeads);
  spec.kv_heads = kv_heads == nullptr ? spec.heads : config.integer(kv_heads, 1, spec.heads, spec.heads);
  if (spec.heads % spec.kv_heads != 0) {
    fail("{}: \"{}\": expected a divisor of {} heads, found {}", config.where(), kv_heads, spec.heads,
         spec.kv_heads);
  }
  if (has_head_dim && config.find("head_dim") != nullptr) {
    spec.head_dim = config.integer("head_dim", 1, 65536);
    return;
  }
  if (spec.hidden_size % spec.heads != 0) {
    fail("{}: \"hidden_size\": expected a multiple of {} heads, found {}", config.where(), spec.heads,
         spec.hidden_size);
  }
  spec.head_dim = spec.hidden_size / spec.heads;
}

Activation read_activation(ConfigReader& config, const char* key, const char* fallback) {
  const std::string name = config.text(key, fallback);
  constexpr std::pair<const char*, Activation> kNames[] = {
      {"silu", Activation::kSilu},          {"swish", Activation::kSilu},
      {"relu", Activation::kRelu},          {"gelu", Activation::kGelu},
      {"gelu_python", Activation::kGelu},   {"gelu_new", Activation::kGeluTanh},
      {"gelu_fast", Activation::kGeluTanh}, {"gelu_pytorch_tanh", Activation::kGeluTanh}};
  std::string known;
  for (const auto& [text, activation] : kNames) {
    if (name == text) return activation;
    known += (known.empty() ? "" : ", ") + std::string(text);
  }
  fail("{}: \"{}\": expected one of {}, found {}", config.where(), key, known, json_quote(name));
}

RopeSpec read_rope_parameters(const Json& object, const std::string& where, ModelSpec& spec,
                              double default_theta, double default_partial) {
  if (!object.is_object()) fail("{}: expected an object, found {}", where, object.type_name());
  ConfigReader config(object, where);
  RopeSpec rope;
  rope.theta = config.number("rope_theta", 1.0, kMaxTheta, default_theta);
  rope.dims =
      rotated_channels(config, spec, config.number("partial_rotary_factor", 0.0, 1.0, default_partial));
  std::string type = config.text("type", "default");
  type = config.text("rope_type", type);
  const bool original = config.find("original_max_position_embeddings") != nullptr;
  read_scaling(config, type, spec,
               original ? std::optional(config.integer("original_max_position_embeddings", 1, kMaxDimension))
                        : std::nullopt,
               rope);
  config.finish();
  return rope;
}

RopeSpec read_rope(ConfigReader& config, ModelSpec& spec, double default_theta, double default_partial,
                   const char* group) {
  const double theta = config.number("rope_theta", 1.0, kMaxTheta, default_theta);
  const double share = config.number("partial_rotary_factor", 0.0, 1.0, default_partial);
  const Json* scaling = config.find("rope_scaling");
  const char* key = "rope_scaling";
  if (const Json* parameters = config.find("rope_parameters")) {
    if (scaling != nullptr) {
      fail("{}: \"rope_parameters\": expected no \"rope_scaling\" beside it", config.where());
    }
    scaling = parameters;
    key = "rope_parameters";
    if (group != nullptr && parameters->is_object() && parameters->contains(group))
      scaling = &(*parameters)[group];
  }
  Json object = scaling != nullptr ? *scaling : Json::object();
  const std::string where = config.where() + ": \"" + key + "\"";
  if (!object.is_object()) fail("{}: expected an object, found {}", where, object.type_name());
  // Phi-3 keeps it beside the object.
  if (const Json* original = config.find("original_max_position_embeddings")) {
    if (scaling != nullptr && !object.contains("original_max_position_embeddings")) {
      object["original_max_position_embeddings"] = *original;
    }
  }
  return read_rope_parameters(object, where, spec, theta, share);
}

std::vector<std::int64_t> read_windows(ConfigReader& config, std::int64_t layers, std::int64_t window,
                                       const std::function<bool(std::int64_t layer)>& is_local) {
  std::vector<std::int64_t> windows;
  if (const Json* types = config.find("layer_types")) {
    if (!types->is_array() || static_cast<std::int64_t>(types->size()) < layers) {
      fail("{}: \"layer_types\": expected a list of {} names", config.where(), layers);
    }
    for (std::int64_t i = 0; i < layers; ++i) {
      const Json& name = (*types)[static_cast<std::size_t>(i)];
      const std::string type = name.is_string() ? name.get<std::string>() : "";
      if (type != "full_attention" && type != "sliding_attention") {
        fail("{}: \"layer_types\": expected full_attention or sliding_attention, found {}", config.where(),
             json_quote(name.dump()));
      }
      windows.push_back(type == "sliding_attention" ? window : 0);
    }
    return windows;
  }
  for (std::int64_t i = 0; i < layers; ++i) windows.push_back(is_local(i) ? window : 0);
  return windows;
}

}  // namespace twofold
