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
  std::vector<NamedOps> all;
  for (const Isa isa : available_isas()) all.push_back({std::string(isa_name(isa)), &ops_for(isa)});
  all.push_back({"avx512, emulated", &avx512_ops_emulated()});
  return all;
}

}  // namespace twofold
