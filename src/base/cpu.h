#pragma once

#include <string_view>

namespace twofold {

/// Instruction sets with code of their own, in rising order: each one includes those before it.
enum class Isa {
  kScalar,
  kAvx2,    // AVX2, FMA, BMI2, F16C
  kAvx512,  // + AVX-512 F, BW, DQ, VL, VBMI, VBMI2, VNNI
};

std::string_view isa_name(Isa isa);

/// The best set this CPU runs.
Isa detected_isa();

/// The set to use: the detected one, or the one the environment variable TWOFOLD_ISA names
/// (scalar, avx2, avx512). Throws Error when the name is unknown or the CPU lacks the set. Read once.
Isa active_isa();

}  // namespace twofold
