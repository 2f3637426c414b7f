#include "base/cpu.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#include "base/error.h"

namespace twofold {

namespace {

constexpr Isa kAll[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx2Vnni, Isa::kAvx512, Isa::kNeon, Isa::kNeonDot};

#if defined(__x86_64__)
/// AVX-VNNI is not among the names that clang 14 takes: CPUID leaf 7, subleaf 1, EAX bit 4.
bool has_avx_vnni() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0;
}
#endif

std::vector<Isa> detect() {
  std::vector<Isa> isas{Isa::kScalar};
#if defined(__x86_64__)
  const bool avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
                      __builtin_cpu_supports("avx512vnni");
  if (avx2) isas.push_back(Isa::kAvx2);
  if (avx2 && has_avx_vnni()) isas.push_back(Isa::kAvx2Vnni);
  if (avx2 && avx512) isas.push_back(Isa::kAvx512);
#elif defined(__aarch64__)
  isas.push_back(Isa::kNeon);
#if defined(__linux__)
  constexpr unsigned long kDotProduct = 1UL << 20;  // HWCAP_ASIMDDP
  if ((getauxval(AT_HWCAP) & kDotProduct) != 0) isas.push_back(Isa::kNeonDot);
#endif
#endif
  return isas;
}

Isa choose_isa() {
  const std::span<const Isa> available = available_isas();
  const char* wanted = std::getenv("TWOFOLD_ISA");
  if (wanted == nullptr || *wanted == '\0') return available.back();
  std::string names;
  for (const Isa isa : available) {
    if (isa_name(isa) == wanted) return isa;
    names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  }
  const bool known =
      std::any_of(std::begin(kAll), std::end(kAll), [&](Isa isa) { return isa_name(isa) == wanted; });
  throw UsageError(fmt::format("TWOFOLD_ISA={}: {}; this CPU runs {}", wanted,
                               known ? "not supported" : "unknown", names));
}

}  // namespace

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx2Vnni:
      return "avx2vnni";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kNeon:
      return "neon";
    case Isa::kNeonDot:
      return "neondot";
    case Isa::kScalar:
      break;
  }
  return "scalar";
}

std::span<const Isa> available_isas() {
  static const std::vector<Isa> isas = detect();
  return isas;
}

Isa active_isa() {
  static const Isa isa = choose_isa();
  return isa;
}

}  // namespace twofold
