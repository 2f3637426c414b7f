#pragma once

/// The x86 intrinsics. Files that use them include this header, so that a test can build the same source
/// with TWOFOLD_SIMDE on a CPU that lacks the instructions: SIMDe then computes every intrinsic in portable
/// C++. A file built that way must be compiled without -m flags and must not include <immintrin.h>.

#ifdef TWOFOLD_SIMDE
#include "base/simd_x86_emulated.h"
#else
#include <immintrin.h>
#endif
