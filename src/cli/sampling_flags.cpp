#include "cli/sampling_flags.h"

namespace twofold {

void add_sampling_flags(CLI::App& command, SamplingOptions& options) {
  command.add_option("--temperature,--temp", options.temperature, "0 takes the most likely token")
      ->capture_default_str();
  command.add_option("--top-k", options.top_k, "Draw from the k most likely tokens; 0: all")
      ->capture_default_str();
  command.add_option("--top-p", options.top_p, "Draw from the fewest tokens with this probability; 1: all")
      ->capture_default_str();
  command
      .add_option("--min-p", options.min_p, "Drop tokens less likely than this share of the best; 0: none")
      ->capture_default_str();
  command
      .add_option("--repetition-penalty,--repeat-penalty", options.repetition_penalty,
                  "Above 1 makes tokens that were used less likely")
      ->capture_default_str();
  command.add_option("-s,--seed", options.seed, "Seed of the sampler: the same seed gives the same text")
      ->capture_default_str();
}

}  // namespace twofold
