#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "eval/tasks/records.h"

namespace twofold {

/// True for a row of the LLM-Adapters collection (Hu et al. 2023): {"instruction", "answer", ...}, where the
/// data set's fields stand in an instruction that contains `mark`.
bool is_adapters_row(const Record& row, std::string_view mark);

/// What stands between these texts in the row's instruction, in their order: between the first and the
/// second, the second and the third and so on; the first begins the instruction and, unless it is empty, the
/// last ends it. Throws Error when one is missing.
std::vector<std::string> adapters_parts(const Record& row, std::initializer_list<std::string_view> marks);

}  // namespace twofold
