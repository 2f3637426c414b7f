#include "model/registry.h"

namespace twofold {

namespace {

#define TWOFOLD_ENTRY(name, parse) {name, parse},
constexpr Architecture kArchitectures[] = {TWOFOLD_ARCHITECTURES(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY

}  // namespace

std::span<const Architecture> architectures() {
  return kArchitectures;
}

}  // namespace twofold
