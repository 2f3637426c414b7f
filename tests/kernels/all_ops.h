#pragma once

#include <string>
#include <vector>

#include "kernels/ops.h"

namespace twofold {

#if defined(__x86_64__)
// The sources of the functions without _emulated, computed by SIMDe: see extra.cmake.
const Ops& avx512_ops_emulated();
void pack_i8_avx2vnni_emulated(const std::int8_t* x, std::size_t x_stride, std::size_t cols,
                               std::size_t tokens, std::size_t begin, std::size_t end, std::int8_t* packed);
void matmul_i8_avx2vnni_emulated(const std::int8_t* w, std::size_t rows, std::size_t cols,
                                 const std::int8_t* packed, std::size_t tokens, std::int32_t* out,
                                 std::size_t out_stride);

/// The products of AVX-VNNI, which has nothing else of its own.
inline const Ops& avx2vnni_ops_emulated() {
  static const Ops table = [] {
    Ops vnni = scalar_ops();
    vnni.pack_i8 = pack_i8_avx2vnni_emulated;
    vnni.matmul_i8 = matmul_i8_avx2vnni_emulated;
    return vnni;
  }();
  return table;
}
#endif

struct NamedOps {
  std::string name;
  const Ops* ops;
};

/// Every table this CPU can run, the scalar one first.
inline std::vector<NamedOps> all_ops() {
  std::vector<NamedOps> all;
  for (const Isa isa : available_isas()) all.push_back({std::string(isa_name(isa)), &ops_for(isa)});
#if defined(__x86_64__)
  all.push_back({"avx2vnni, emulated", &avx2vnni_ops_emulated()});
  all.push_back({"avx512, emulated", &avx512_ops_emulated()});
#endif
  return all;
}

}  // namespace twofold
