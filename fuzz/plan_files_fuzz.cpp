// Files that tell programs what to do: machine profiles, plans and recipes. The first byte says which. What
// parses must be usable.

#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "compress/codec_plan.h"
#include "compress/recipe.h"
#include "plan/machine_profile.h"
#include "plan/planner.h"

namespace {

using namespace twofold;

void read(int kind, std::string_view text) {
  if (kind == 0) {
    parse_recipe(text, "input");
    return;
  }
  const Json json = parse_json(text, "input");
  if (kind == 1) {
    const MachineProfile profile = parse_profile(json, "input");
    for (const CodecSpeed& speed : profile.codecs) {
      if (!(speed.weights_per_second(3.3, 5000) > 0)) std::abort();
    }
    parse_profile(profile_to_json(profile), "again");
  } else if (kind == 2) {
    parse_residency_plan(json, "input");
  } else {
    parse_codec_plan(json, "input").codec_of("a");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  try {
    read(data[0] % 4, {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const Error& error) {
    if (std::string_view(error.what()).find('\n') != std::string_view::npos) std::abort();
  }
  return 0;
}
