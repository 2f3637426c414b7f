#pragma once

#include <span>
#include <string_view>

#include "tensor/gguf.h"

namespace twofold {

/// What GGUF files of an architecture do unlike the Hugging Face model.
struct GgufArchitecture {
  std::string_view name;          // general.architecture
  std::string_view hugging_face;  // of "architectures" in config.json
  std::string_view model_type;    // in config.json
  bool paired_rows = false;       // q and k are stored with the channels that turn together side by side
  bool norms_plus_one = false;    // the norms' weights have the one that the model adds in them
  bool norms_after = false;       // norms before and after both halves of a layer: others have two in all
  bool fused = false;             // q, k, v in one tensor, gate and up in another
};

/// Throws Error, listing those that are known.
const GgufArchitecture& gguf_architecture(const GgufFile& file);

/// Llama files hold Mixtral too.
bool has_experts(const GgufFile& file);

}  // namespace twofold
