#pragma once

#include <span>

#include "eval/tasks/task.h"

namespace twofold {

// Every format of task files, in the order in which a file is tried against them.
#define TWOFOLD_TASK_FORMATS(FORMAT) \
  FORMAT(hellaswag_format)           \
  FORMAT(piqa_format)                \
  FORMAT(winogrande_format)          \
  FORMAT(mmlu_format)                \
  FORMAT(mathqa_format)              \
  FORMAT(choices_format)             \
  FORMAT(swde_format)                \
  FORMAT(lambada_format)

#define TWOFOLD_DECLARE(name) extern const TaskFormat name;
TWOFOLD_TASK_FORMATS(TWOFOLD_DECLARE)
#undef TWOFOLD_DECLARE

std::span<const TaskFormat* const> task_formats();

}  // namespace twofold
