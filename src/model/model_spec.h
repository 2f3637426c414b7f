#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/rope_spec.h"

namespace twofold {

class ConfigReader;

/// One linear layer Y = X W^T + b, with W of shape [rows, cols] = [outputs, input channels].
struct LinearSpec {
  std::string name;  // tensor name without ".weight" / ".bias"; empty: there is no such layer
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  bool bias = false;
  bool transposed = false;  // the original stores [cols, rows] (GPT-2); coded it is [rows, cols] as any other

  bool present() const { return !name.empty(); }
  std::string weight() const { return name + ".weight"; }
  /// Shape of the original's tensor.
  std::vector<std::int64_t> stored_shape() const {
    return transposed ? std::vector{cols, rows} : std::vector{rows, cols};
  }
};

/// A normalization of vectors of `size`.
struct NormSpec {
  enum class Kind {
    kRms,    // x / sqrt(mean(x^2) + eps) * w
    kLayer,  // (x - mean) / sqrt(variance + eps) * w + b
  };
  Kind kind = Kind::kRms;
  std::string name;  // tensor name without ".weight" / ".bias"; empty: nothing is done
  std::int64_t size = 0;
  float eps = 0;
  bool weight = true;
  bool bias = false;
  float weight_offset = 0;  // w is the stored weight plus this: Gemma stores w - 1

  bool present() const { return !name.empty(); }
};

enum class Activation {
  kSilu,
  kRelu,
  kGelu,      // x Phi(x)
  kGeluTanh,  // its approximation by tanh
};

/// Self-attention of one layer. Heads and their size are the model's.
struct AttentionSpec {
  /// What stands in the outputs of `qkv`.
  enum class Layout {
    kBlocks,  // all queries, all keys, all values: as three linears or one
    kGroups,  // one linear: for each key head its queries, its key, its value
  };
  std::vector<LinearSpec> qkv;  // q, k, v, or all in one
  Layout layout = Layout::kBlocks;
  LinearSpec out;
  NormSpec q_norm, k_norm;          // of each head, before rotation
  std::optional<std::size_t> rope;  // index in ModelSpec::ropes; none: no rotation
  float scale = 0;                  // of query-key products
  float soft_cap = 0;               // c tanh(s / c) of the scores s; 0: none
  std::int64_t window = 0;          // last keys a token sees, its own included; 0: all
};

/// act(in x) -> down, or act(gate x) * (up x) -> down.
struct FeedForwardSpec {
  std::vector<LinearSpec> in;  // plain: up; gated: gate and up, or both in one, gate first
  LinearSpec down;
  Activation activation = Activation::kSilu;
  bool gated = false;

  std::int64_t inner() const { return down.cols; }
};

/// Mixture of experts: each token is the weighted sum of its `top_k` best experts by softmax(router x).
struct MoeSpec {
  LinearSpec router;  // [experts, hidden]; never coded: a wrong choice costs more than its bytes
  std::vector<FeedForwardSpec> experts;
  std::int64_t top_k = 0;
  bool normalize = false;  // the weights of the chosen are made to sum to 1
  FeedForwardSpec shared;  // for every token; down.present() tells whether there is one
  LinearSpec shared_gate;  // [1, hidden], sigmoid; never coded
};

/// One decoder layer:
///   a = attention_output(attention(attention_input(x)));   y = residual_norm(x + a)
///   f = feed_forward_output(ff(feed_forward_input(y)));    z = final_residual_norm(y + f)
/// in which absent norms do nothing. In a parallel layer the feed-forward reads x instead of y, normed by
/// feed_forward_input or, without one, by attention_input; z = x + a + f.
struct LayerSpec {
  NormSpec attention_input, attention_output, residual_norm;
  NormSpec feed_forward_input, feed_forward_output, final_residual_norm;
  AttentionSpec attention;
  FeedForwardSpec feed_forward;        // unless there is `moe`
  std::shared_ptr<const MoeSpec> moe;  // or nullptr
  bool parallel = false;

  /// The linears that are coded: all but routers. In the order in which they run.
  std::vector<const LinearSpec*> linears() const;
  /// Those that never are.
  std::vector<const LinearSpec*> routers() const;
  /// The norms there are.
  std::vector<const NormSpec*> norms() const;
};

/// Learned positions: row p + offset of the tensor is added to the embedding of position p.
struct LearnedPositions {
  std::string name;  // tensor, [rows, hidden]; empty: none
  std::int64_t rows = 0;
  std::int64_t offset = 0;
};

/// What config.json says of a model, as data: shapes, constants, and which tensor plays which part. The
/// runtime knows no architecture, only this.
struct ModelSpec {
  std::string architecture;  // "LlamaForCausalLM"
  std::int64_t hidden_size = 0;
  std::int64_t heads = 0;     // query heads
  std::int64_t kv_heads = 0;  // divides heads
  std::int64_t head_dim = 0;
  std::int64_t vocab_size = 0;
  std::int64_t max_positions = 0;  // context the model was made for, tokens
  std::optional<std::int64_t> bos;
  std::vector<std::int64_t> eos;  // any of these ends a text

  std::string embedding;            // tensor name, [vocab, embedding_size]
  std::int64_t embedding_size = 0;  // that of hidden unless there are project_in and project_out
  float embedding_scale = 1;
  LinearSpec project_in, project_out;  // never coded
  LearnedPositions positions;
  std::vector<RopeSpec> ropes;
  bool alibi = false;  // attention with linear biases (Press et al., arXiv 2108.12409) in every layer

  std::vector<LayerSpec> layers;

  NormSpec final_norm;
  LinearSpec head;                      // [vocab, embedding_size]
  bool tied_embeddings = false;         // the head is the embedding
  std::string untied_head = "lm_head";  // name of the head where it is stored by itself
  float logit_soft_cap = 0;             // c tanh(l / c) of the logits l; 0: none
  std::string prefix;                   // of tensor names, which some checkpoints leave away

  std::int64_t q_size() const { return heads * head_dim; }
  std::int64_t kv_size() const { return kv_heads * head_dim; }
};

/// An architecture: how its config.json reads. A new one is one file and one line in registry.cpp.
struct Architecture {
  std::string_view name;  // as in "architectures"
  ModelSpec (*parse)(ConfigReader& config);
};

/// Reads config.json (and the EOS ids of generation_config.json) of a model directory. Throws Error for a
/// missing or unknown architecture, listing the known ones, for any field out of range, and for a field that
/// might change the result but is not known, see ConfigReader.
ModelSpec load_model_spec(const std::filesystem::path& directory);

/// Makes the names those that are `stored`. Tied embeddings are stored once, under the embedding's name or
/// the head's; and some checkpoints leave the model's prefix away.
void resolve_names(ModelSpec& spec, const std::function<bool(const std::string&)>& stored);

/// True for tensors that old checkpoints hold beside the weights, causal masks and the like, and that no
/// model reads. `name` is none that the spec names.
bool is_buffer(std::string_view name);

/// The parser behind it; `where` names the file.
ModelSpec parse_model_spec(const Json& config, std::string_view where);

}  // namespace twofold
