#include "kernels/ops.h"

namespace twofold {

namespace {

const Ops& choose_ops() {
#if defined(__x86_64__)
  switch (active_isa()) {
    case Isa::kAvx512:
      return avx512_ops();
    case Isa::kAvx2:
      return avx2_ops();
    case Isa::kScalar:
      break;
  }
#endif
  return scalar_ops();
}

}  // namespace

const Ops& ops() {
  static const Ops& chosen = choose_ops();
  return chosen;
}

}  // namespace twofold
