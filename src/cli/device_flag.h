#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/memory_flags.h"

namespace twofold {

/// --device of the commands that compute with a model: cpu, or cuda.
void add_device_flag(CLI::App& command, std::string& device);

/// Throws Error when there is no GPU, and UsageError for a memory budget, which is for the CPU.
void check_gpu_device(const MemoryFlags& memory);

}  // namespace twofold
