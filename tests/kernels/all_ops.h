#pragma once

#include <string>
#include <vector>

#include "kernels/ops.h"

namespace twofold {

const Ops& avx512_ops_emulated();  // the source of avx512_ops(), computed by SIMDe: see extra.cmake

struct NamedOps {
  std::string name;
  const Ops* ops;
};

/// Every table this CPU can run, the scalar one first.
inline std::vector<NamedOps> all_ops() {
  std::vector<NamedOps> all{{"scalar", &scalar_ops()}};
#if defined(__x86_64__)
  if (detected_isa() >= Isa::kAvx2) all.push_back({"avx2", &avx2_ops()});
  if (detected_isa() >= Isa::kAvx512) all.push_back({"avx512", &avx512_ops()});
#endif
  all.push_back({"avx512, emulated", &avx512_ops_emulated()});
  return all;
}

}  // namespace twofold
