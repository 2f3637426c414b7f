#pragma once

#include <CLI/CLI.hpp>

#include "runtime/sampler.h"

namespace twofold {

/// Adds the flags of `options` to a command that generates text; `check` is left to the command.
void add_sampling_flags(CLI::App& command, SamplingOptions& options);

}  // namespace twofold
