#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace twofold {

/// config.json of a published model whose architecture src/model can run; null when the name is not known.
Json published_config(std::string_view name);

/// The names there are, separated by ", ".
std::string published_names();

}  // namespace twofold
