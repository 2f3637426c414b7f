#include <array>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "model/gguf_architecture.h"
#include "model/gguf_model.h"

namespace twofold {

namespace {

using Names = std::span<const std::pair<std::string_view, std::string_view>>;

constexpr std::pair<std::string_view, std::string_view> kModelNames[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};

// Behind "blk.N." and "model.layers.N.".
constexpr std::pair<std::string_view, std::string_view> kLayerNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"}};
constexpr std::pair<std::string_view, std::string_view> kTwoNorms[] = {
    {"ffn_norm", "post_attention_layernorm"}};
constexpr std::pair<std::string_view, std::string_view> kFourNorms[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"}};
constexpr std::pair<std::string_view, std::string_view> kFusedNames[] = {{"attn_qkv", "self_attn.qkv_proj"},
                                                                         {"ffn_up", "mlp.gate_up_proj"}};
constexpr std::pair<std::string_view, std::string_view> kQwenExperts[] = {
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"}};
constexpr std::pair<std::string_view, std::string_view> kMixtralExperts[] = {
    {"ffn_gate_inp", "block_sparse_moe.gate"}};

/// Matrices of all experts in one tensor; "#" stands for the number of the expert.
constexpr std::pair<std::string_view, std::string_view> kQwenStacks[] = {
    {"ffn_gate_exps", "mlp.experts.#.gate_proj"},
    {"ffn_up_exps", "mlp.experts.#.up_proj"},
    {"ffn_down_exps", "mlp.experts.#.down_proj"}};
constexpr std::pair<std::string_view, std::string_view> kMixtralStacks[] = {
    {"ffn_gate_exps", "block_sparse_moe.experts.#.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.#.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.#.w2"}};

std::string_view find_name(std::string_view name, std::initializer_list<Names> tables) {
  for (const Names& table : tables) {
    for (const auto& [from, to] : table) {
      if (from == name) return to;
    }
  }
  return {};
}

class Namer {
 public:
  explicit Namer(const GgufFile& file)
      : file_(file), architecture_(gguf_architecture(file)), experts_(has_experts(file)) {}

  std::map<std::string, TensorView> run() {
    for (const auto& [name, tensor] : file_.tensors()) add(tensor);
    return std::move(tensors_);
  }

 private:
  [[noreturn]] void fail_unknown(const TensorView& tensor) const {
    fail("{}: tensor {}: not known in architecture {}", file_.path(), json_quote(tensor.name),
         architecture_.name);
  }

  void add(const TensorView& tensor) {
    const std::string_view name = tensor.name;
    // Divisors of the rotary frequencies are read with the configuration.
    if (name.starts_with("rope_f") || name.ends_with(".attn_rot_embd") ||
        name.ends_with(".rope_freqs.weight"))
      return;
    const std::size_t dot = name.rfind('.');
    if (dot == std::string_view::npos) fail_unknown(tensor);
    const std::string_view stem = name.substr(0, dot);
    const std::string_view suffix = name.substr(dot);
    if (!stem.starts_with("blk.")) {
      const std::string_view renamed = find_name(stem, {kModelNames});
      if (renamed.empty()) fail_unknown(tensor);
      put(tensor, stem, std::string(renamed) + std::string(suffix));
      return;
    }
    int layer = 0;
    const auto [end, error] = std::from_chars(stem.data() + 4, stem.data() + stem.size(), layer);
    if (error != std::errc() || layer < 0 || end == stem.data() + stem.size() || *end != '.') {
      fail_unknown(tensor);
    }
    const std::string_view part(end + 1, static_cast<std::size_t>(stem.data() + stem.size() - (end + 1)));
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    const std::string_view stack = find_stack(part);
    if (!stack.empty()) {
      put_stack(tensor, prefix + std::string(stack) + std::string(suffix));
      return;
    }
    const std::string_view renamed = find_part(part);
    if (renamed.empty()) fail_unknown(tensor);
    put(tensor, part, prefix + std::string(renamed) + std::string(suffix));
  }

  std::string_view find_stack(std::string_view part) const {
    if (!experts_) return {};
    return architecture_.name == "llama" ? find_name(part, {kMixtralStacks}) : find_name(part, {kQwenStacks});
  }

  std::string_view find_part(std::string_view part) const {
    const Names norms = architecture_.norms_after ? Names(kFourNorms) : Names(kTwoNorms);
    const Names fused = architecture_.fused ? Names(kFusedNames) : Names();
    const Names experts = architecture_.name == "llama" ? Names(kMixtralExperts) : Names(kQwenExperts);
    return find_name(part, {fused, norms, kLayerNames, experts_ ? experts : Names()});
  }

  void put(TensorView tensor, std::string_view part, std::string name) {
    if (architecture_.norms_plus_one && part.ends_with("norm")) tensor.offset = -1;
    if (architecture_.paired_rows && (part == "attn_q" || part == "attn_k")) {
      tensor.paired_rows = head_rows(tensor, part);
    }
    if (part == "ffn_gate_inp_shexp" && tensor.shape.size() == 1)
      tensor.shape.insert(tensor.shape.begin(), 1);
    tensor.name = name;
    if (!tensors_.emplace(std::move(name), tensor).second) {
      fail("{}: two tensors stand for {}", file_.path(), tensor.name);
    }
  }

  std::int64_t head_rows(const TensorView& tensor, std::string_view part) const {
    const std::string prefix(architecture_.name);
    const std::int64_t all = file_.integer(prefix + ".attention.head_count", 1, 65536);
    const std::int64_t keys = file_.integer(prefix + ".attention.head_count_kv", 1, all, all);
    const std::int64_t heads = part == "attn_q" ? all : keys;
    const std::int64_t rows = tensor.shape.front();
    if (rows % heads != 0 || rows / heads % 2 != 0) {
      fail("{}: tensor {}: expected rows of {} heads of an even size, found {}", file_.path(),
           json_quote(tensor.name), heads, rows);
    }
    return rows / heads;
  }

  void put_stack(const TensorView& stack, const std::string& name) {
    if (stack.shape.size() != 3) {
      fail("{}: tensor {}: expected three dimensions, found {}", file_.path(), json_quote(stack.name),
           stack.shape.size());
    }
    const std::int64_t expected = file_.integer(std::string(architecture_.name) + ".expert_count", 1, 4096);
    if (stack.shape.front() != expected) {
      fail("{}: tensor {}: expected {} experts, found {}", file_.path(), json_quote(stack.name), expected,
           stack.shape.front());
    }
    const auto experts = static_cast<std::size_t>(expected);
    const std::size_t bytes = stack.bytes.size() / experts;
    const std::size_t number = name.find('#');
    for (std::size_t i = 0; i < experts; ++i) {
      TensorView tensor = stack;
      tensor.shape.erase(tensor.shape.begin());
      tensor.bytes = stack.bytes.subspan(i * bytes, bytes);
      put(std::move(tensor), {}, name.substr(0, number) + std::to_string(i) + name.substr(number + 1));
    }
  }

  const GgufFile& file_;
  const GgufArchitecture& architecture_;
  bool experts_ = false;
  std::map<std::string, TensorView> tensors_;
};

}  // namespace

std::map<std::string, TensorView> gguf_tensors(const GgufFile& file) {
  return Namer(file).run();
}

bool is_gguf_model(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const File file(path);
  std::array<std::uint8_t, 4> magic{};
  if (file.size() < magic.size()) return false;
  file.read(0, magic);
  return magic == std::array<std::uint8_t, 4>{'G', 'G', 'U', 'F'};
}

std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& model) {
  if (!is_gguf_model(model)) return std::make_unique<Checkpoint>(model);
  auto file = std::make_unique<GgufFile>(model);
  auto tensors = gguf_tensors(*file);
  return std::make_unique<Checkpoint>(std::move(file), std::move(tensors));
}

}  // namespace twofold
