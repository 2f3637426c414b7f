#pragma once

#include <ctime>
#include <string>
#include <string_view>

#include "base/json.h"

namespace twofold {

/// Renders a Jinja template as transformers does for chat templates: blocks take their line with them
/// (trim_blocks, lstrip_blocks); raise_exception, strftime_now (which tells `now`) and tojson are there.
/// `variables` is an object; its strings are data, never parsed.
///
/// A template can loop without end or recurse, so it is rendered in a child process with limits of time,
/// memory and output. Throws Error for a template that is broken, refuses the conversation (raise_exception)
/// or goes beyond the limits; `where` names it. Threads may call this at the same time.
std::string render_jinja(std::string_view source, const Json& variables, std::time_t now,
                         std::string_view where);

}  // namespace twofold
