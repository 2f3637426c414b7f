#include "kernels/ops.h"

namespace twofold {

const Ops& ops_for([[maybe_unused]] Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512_ops();
  if (isa == Isa::kAvx2Vnni) return avx2vnni_ops();
  if (isa == Isa::kAvx2) return avx2_ops();
#elif defined(__aarch64__)
  if (isa == Isa::kNeonDot) return neondot_ops();
  if (isa == Isa::kNeon) return neon_ops();
#endif
  return scalar_ops();
}

const Ops& ops() {
  static const Ops& chosen = ops_for(active_isa());
  return chosen;
}

}  // namespace twofold
