#pragma once

/// The x86 intrinsics. Files that use them include this header, so that a test can build the same source
/// with TWOFOLD_SIMDE on a CPU that lacks the instructions: SIMDe then computes every intrinsic in portable
/// C++. A file built that way must be compiled without -m flags and must not include <immintrin.h>.

#ifdef TWOFOLD_SIMDE
#include "base/simd_x86_emulated.h"
#else
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 header warns at every use of a "don't care" operand.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#endif
