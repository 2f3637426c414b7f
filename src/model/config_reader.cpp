#include "model/config_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace twofold {

namespace {

// Fields that any config.json may have and that change no logit.
constexpr std::string_view kBookkeeping[] = {
    // what it is and who wrote it
    "architectures", "model_type", "torch_dtype", "dtype", "transformers_version", "_name_or_path",
    "auto_map", "tokenizer_class", "transformers.js_config", "synthetic", "quantization_config",
    "_attn_implementation", "_attn_implementation_autoset", "attn_implementation", "task_specific_params",
    "custom_pipelines", "language", "license", "model_name", "finetuning_task", "unsloth_version",
    "unsloth_fixed",
    // ids and labels; BOS and EOS are read for all
    "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id", "cls_token_id",
    "mask_token_id", "decoder_start_token_id", "forced_bos_token_id", "forced_eos_token_id", "id2label",
    "label2id", "num_labels", "problem_type", "prefix", "suppress_tokens", "begin_suppress_tokens",
    // training
    "initializer_range", "init_std", "initializer_factor", "dropout", "attention_dropout", "hidden_dropout",
    "activation_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "classifier_dropout", "layerdrop",
    "embedding_dropout", "resid_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob",
    "gradient_checkpointing", "pretraining_tp", "use_bfloat16", "router_aux_loss_coef", "router_z_loss_coef",
    "output_router_logits", "router_jitter_noise", "summary_type", "summary_use_proj", "summary_activation",
    "summary_proj_to_labels", "summary_first_dropout", "z_loss_weight",
    // how and how long a text is generated
    "use_cache", "cache_implementation", "return_dict", "return_dict_in_generate", "output_attentions",
    "output_hidden_states", "output_scores", "torchscript", "tf_legacy_loss", "temperature", "top_k", "top_p",
    "typical_p", "do_sample", "num_beams", "num_beam_groups", "num_return_sequences", "max_length",
    "min_length", "max_new_tokens", "length_penalty", "diversity_penalty", "repetition_penalty",
    "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "early_stopping",
    "exponential_decay_length_penalty", "bad_words_ids", "remove_invalid_values", "chunk_size_feed_forward",
    "is_decoder", "is_encoder_decoder"};

bool is_off(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         (value.is_structured() && value.empty()) || (value.is_string() && value.get<std::string>().empty());
}

}  // namespace

std::int64_t ConfigReader::integer(const char* key, std::int64_t min, std::int64_t max,
                                   std::optional<std::int64_t> fallback) {
  known_.insert(key);
  return json_int(object_, key, where_, min, max, fallback);
}

double ConfigReader::number(const char* key, double min, double max, std::optional<double> fallback) {
  known_.insert(key);
  return json_double(object_, key, where_, min, max, fallback);
}

bool ConfigReader::flag(const char* key, std::optional<bool> fallback) {
  known_.insert(key);
  return json_bool(object_, key, where_, fallback);
}

std::string ConfigReader::text(const char* key, std::optional<std::string> fallback) {
  known_.insert(key);
  return json_string(object_, key, where_, std::move(fallback));
}

bool ConfigReader::contains(const char* key) {
  known_.insert(key);
  return object_.contains(key);
}

const Json* ConfigReader::find(const char* key) {
  known_.insert(key);
  const auto it = object_.find(key);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void ConfigReader::require(const char* key, bool value) {
  if (flag(key, value) != value) fail("{}: \"{}\": only {} is supported", where_, key, value);
}

void ConfigReader::harmless(std::initializer_list<const char*> keys) {
  known_.insert(keys.begin(), keys.end());
}

void ConfigReader::finish() const {
  for (const auto& [key, value] : object_.items()) {
    if (known_.contains(key) || is_off(value)) continue;
    if (std::find(std::begin(kBookkeeping), std::end(kBookkeeping), key) != std::end(kBookkeeping)) continue;
    std::string found = value.dump(-1, ' ', true);
    if (found.size() > 60) found = found.substr(0, 60) + "...";
    fail("{}: {}: not known for this architecture, and {} may change what the model computes", where_,
         json_quote(key), found);
  }
}

}  // namespace twofold
