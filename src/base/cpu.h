#pragma once

#include <span>
#include <string_view>

namespace twofold {

/// Instruction sets with code of their own. On each processor family they are in rising order: each one
/// includes those before it.
enum class Isa {
  kScalar,
  kAvx2,      // AVX2, FMA, BMI2, F16C
  kAvx2Vnni,  // + AVX-VNNI: vpdpbusd on 256 bits
  kAvx512,    // AVX2 + AVX-512 F, BW, DQ, VL, VBMI, VBMI2, VNNI
  kNeon,      // what every 64-bit ARM has
  kNeonDot,   // + sdot, udot
};

std::string_view isa_name(Isa isa);  // as TWOFOLD_ISA takes it: scalar, avx2, avx2vnni, avx512, neon, neondot

/// The sets this CPU runs, the best one last; kScalar is always the first.
std::span<const Isa> available_isas();

/// The set to use: the best one, or the one the environment variable TWOFOLD_ISA names. Throws UsageError
/// when the name is unknown or the CPU lacks the set. Read once.
Isa active_isa();

}  // namespace twofold
