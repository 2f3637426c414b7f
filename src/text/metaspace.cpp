#include "text/metaspace.h"

#include "text/component.h"

namespace twofold {

Metaspace parse_metaspace(const Json& json, const std::string& where) {
  Metaspace result;
  result.replacement = json_character(json, "replacement", where);
  const std::string scheme = json_string(json, "prepend_scheme", where, "always");
  if (scheme == "first") {
    result.scheme = PrependScheme::kFirst;
  } else if (scheme == "always") {
    result.scheme = PrependScheme::kAlways;
  } else if (scheme == "never") {
    result.scheme = PrependScheme::kNever;
  } else {
    fail("{}: \"prepend_scheme\": expected first, always or never, found {}", where, quote(scheme));
  }
  // Older files have this field instead; the reference refuses the two in conflict.
  if (!json_bool(json, "add_prefix_space", where, true) && result.scheme != PrependScheme::kNever) {
    fail("{}: \"add_prefix_space\": false contradicts \"prepend_scheme\": \"{}\"", where, scheme);
  }
  result.split = json_bool(json, "split", where, true);
  return result;
}

}  // namespace twofold
