#pragma once

#include <string>

#include "base/json.h"

namespace twofold {

/// One page without scripts or anything from elsewhere: tables and plots of the results that run_lab writes.
std::string lab_html(const Json& results);

/// A row per point, RFC 4180.
std::string lab_csv(const Json& results);

}  // namespace twofold
