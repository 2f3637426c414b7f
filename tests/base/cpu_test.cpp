#include "base/cpu.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "base/error.h"

namespace twofold {
namespace {

constexpr Isa kAll[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx2Vnni, Isa::kAvx512, Isa::kNeon, Isa::kNeonDot};

bool available(Isa isa) {
  return std::ranges::find(available_isas(), isa) != available_isas().end();
}

TEST(AvailableIsas, BeginWithScalarAndRise) {
  ASSERT_FALSE(available_isas().empty());
  EXPECT_EQ(available_isas().front(), Isa::kScalar);
  for (std::size_t i = 1; i < available_isas().size(); ++i) {
    EXPECT_LT(available_isas()[i - 1], available_isas()[i]);
  }
}

TEST(AvailableIsas, AreThoseOfOneProcessorFamily) {
  const bool x86 = available(Isa::kAvx2) || available(Isa::kAvx2Vnni) || available(Isa::kAvx512);
  const bool arm = available(Isa::kNeon) || available(Isa::kNeonDot);
  EXPECT_FALSE(x86 && arm);
#if defined(__aarch64__)
  EXPECT_TRUE(arm);
#elif defined(__x86_64__)
  EXPECT_FALSE(arm);
#endif
}

TEST(IsaName, IsDifferentForEach) {
  std::set<std::string_view> names;
  for (const Isa isa : kAll) names.insert(isa_name(isa));
  EXPECT_EQ(names.size(), std::size(kAll));
}

/// active_isa() reads the variable once: each case has a process of its own. Exits with the number of the
/// set, or with 100 and the message on stderr. nullptr: the variable is not set.
[[noreturn]] void exit_with_active_isa(const char* variable) {
  if (variable == nullptr) {
    unsetenv("TWOFOLD_ISA");
  } else {
    setenv("TWOFOLD_ISA", variable, 1);
  }
  try {
    std::_Exit(static_cast<int>(active_isa()));
  } catch (const UsageError& error) {
    std::fputs(error.what(), stderr);
    std::_Exit(100);
  }
}

testing::ExitedWithCode exits_with(Isa isa) {
  return testing::ExitedWithCode(static_cast<int>(isa));
}

TEST(ActiveIsaDeathTest, IsTheOneThatTheVariableNames) {
  for (const Isa isa : available_isas()) {
    EXPECT_EXIT(exit_with_active_isa(std::string(isa_name(isa)).c_str()), exits_with(isa), "^$");
  }
}

TEST(ActiveIsaDeathTest, IsTheBestWithoutTheVariable) {
  EXPECT_EXIT(exit_with_active_isa(nullptr), exits_with(available_isas().back()), "^$");
  EXPECT_EXIT(exit_with_active_isa(""), exits_with(available_isas().back()), "^$");
}

TEST(ActiveIsaDeathTest, RejectsWhatIsUnknownOrNotThere) {
  EXPECT_EXIT(exit_with_active_isa("sse9"), testing::ExitedWithCode(100),
              "TWOFOLD_ISA=sse9: unknown; this CPU runs scalar");
  for (const Isa isa : kAll) {
    if (available(isa)) continue;
    const std::string name(isa_name(isa));
    EXPECT_EXIT(exit_with_active_isa(name.c_str()), testing::ExitedWithCode(100),
                "TWOFOLD_ISA=" + name + ": not supported; this CPU runs scalar");
  }
}

}  // namespace
}  // namespace twofold
