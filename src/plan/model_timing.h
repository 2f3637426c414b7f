#pragma once

#include <functional>

#include "plan/machine_profile.h"
#include "plan/model_costs.h"

namespace twofold {

/// Times products with a sample of the model's own weights in every codec, on so many threads, and notes how
/// long they take beside what the profile says (TensorCost::time_factor). A profile is measured with Gaussian
/// weights, while the codes of real ones have as many levels and corrections as their tails ask for. Weights
/// of one shape are taken to be alike; of shapes beyond the eight with most weights the others' mean holds.
/// Some seconds.
void time_model(ModelCosts& model, const MachineProfile& machine, int threads,
                const std::function<void(double)>& progress);

}  // namespace twofold
