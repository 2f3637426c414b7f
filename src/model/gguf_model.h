#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "base/json.h"
#include "tensor/checkpoint.h"
#include "tensor/gguf.h"

namespace twofold {

// A GGUF file as a source of models: what it says in GGML's words is put into those of a Hugging Face
// directory, so that no architecture knows of the format.

/// True for a path of a regular file that begins as GGUF files do.
bool is_gguf_model(const std::filesystem::path& path);

/// What the model's config.json would say. Throws Error for an architecture that cannot be read, listing
/// those that can, and for a key of the architecture that is not known and might change the result.
Json gguf_config(const GgufFile& file);

/// The tensors under the names of the Hugging Face model, with what differs told by TensorView. Throws Error
/// for a tensor that has no such name.
std::map<std::string, TensorView> gguf_tensors(const GgufFile& file);

/// The checkpoint of a model, a directory or a GGUF file.
std::unique_ptr<Checkpoint> open_checkpoint(const std::filesystem::path& model);

/// config.json of a directory, or what it would say for a GGUF file.
Json load_model_config(const std::filesystem::path& model);

}  // namespace twofold
