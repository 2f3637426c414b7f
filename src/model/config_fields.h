#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "model/config_reader.h"
#include "model/model_spec.h"

namespace twofold {

// Fields that mean the same in many architectures.

inline constexpr std::int64_t kMaxDimension = std::int64_t{1} << 24;
inline constexpr std::int64_t kMaxLayers = 10000;
inline constexpr std::int64_t kMaxHeads = 65536;
inline constexpr std::int64_t kMaxExperts = 4096;

/// Fills heads, kv_heads and head_dim of a spec whose hidden_size is known. `kv_heads` names the field, or is
/// nullptr when there are as many as heads. A "head_dim" is read where the architecture has it.
void read_heads(ConfigReader& config, ModelSpec& spec, const char* heads, const char* kv_heads,
                bool has_head_dim);

Activation read_activation(ConfigReader& config, const char* key, const char* fallback);

/// Rotary embedding from "rope_theta", "rope_scaling", "partial_rotary_factor", or "rope_parameters" which
/// has taken the place of all three; `group`: the member of it that counts where layers differ. Widens
/// max_positions where the scaling is what makes the context longer.
RopeSpec read_rope(ConfigReader& config, ModelSpec& spec, double default_theta = 10000.0,
                   double default_partial = 1.0, const char* group = nullptr);

/// The same of one object in the newer style.
RopeSpec read_rope_parameters(const Json& object, const std::string& where, ModelSpec& spec,
                              double default_theta, double default_partial);

/// The window of each layer from "layer_types", or from `is_local` where that is missing; 0: all keys.
std::vector<std::int64_t> read_windows(ConfigReader& config, std::int64_t layers, std::int64_t window,
                                       const std::function<bool(std::int64_t layer)>& is_local);

}  // namespace twofold
