#include "eval/tasks/registry.h"

namespace twofold {

std::span<const TaskFormat* const> task_formats() {
#define TWOFOLD_ENTRY(name) &name,
  static constexpr const TaskFormat* kFormats[] = {TWOFOLD_TASK_FORMATS(TWOFOLD_ENTRY)};
#undef TWOFOLD_ENTRY
  return kFormats;
}

}  // namespace twofold
