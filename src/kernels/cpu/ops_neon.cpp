#include "kernels/cpu/float_kernels.h"
#include "kernels/cpu/gemm_kernels.h"
#include "kernels/cpu/matmul_i8.h"
#include "kernels/cpu/vec_neon.h"
#include "kernels/ops.h"

namespace twofold {

const Ops& neon_ops() {
  using Float = FloatKernels<NeonFloats>;
  using Products = GemmKernels<NeonFloats>;
  static const Ops table = {
      .isa = Isa::kNeon,
      .dot = Float::dot,
      .axpy = Float::axpy,
      .rms_norm = Float::rms_norm,
      .gemm_nt = Products::gemm_nt,
      .gemm_nn = Products::gemm_nn,
      .softmax = Float::softmax,
      .softmax_part = Float::softmax_part,
      .swiglu = Float::swiglu,
      .rope = Float::rope,
      .bf16_to_float = Float::bf16_to_float,
      .f16_to_float = Float::f16_to_float,
      .abs_max = Float::abs_max,
      .quantize = Float::quantize,
      .pack_i8 = pack_i8_neon,
      .matmul_i8 = matmul_i8_neon,
  };
  return table;
}

const Ops& neondot_ops() {
  static const Ops table = [] {
    Ops dot = neon_ops();
    dot.isa = Isa::kNeonDot;
    dot.matmul_i8 = matmul_i8_neondot;
    return dot;
  }();
  return table;
}

}  // namespace twofold
