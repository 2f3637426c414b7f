#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace twofold {

using Json = nlohmann::json;

/// Parses hostile text. `where` names the file in errors. Refuses duplicate keys (two readers could
/// disagree on them), trailing bytes, invalid UTF-8 and more than 128 levels of nesting.
Json parse_json(std::string_view text, std::string_view where);

/// `text` in quotes for an error message: names in files may hold anything, so control characters and
/// whatever is not ASCII are escaped, and a long text is cut.
std::string json_quote(std::string_view text);

/// Reads and parses a file of at most `max_bytes`.
Json read_json_file(const std::filesystem::path& path, std::uint64_t max_bytes = std::uint64_t{1} << 30);

/// Typed access to a field of an object. `where` names the file; messages name the key, what was expected
/// and what was found. The versions with `fallback` accept a missing or null field.
std::int64_t json_int(const Json& object, std::string_view key, std::string_view where, std::int64_t min,
                      std::int64_t max, std::optional<std::int64_t> fallback = std::nullopt);
double json_double(const Json& object, std::string_view key, std::string_view where, double min, double max,
                   std::optional<double> fallback = std::nullopt);
bool json_bool(const Json& object, std::string_view key, std::string_view where,
               std::optional<bool> fallback = std::nullopt);
std::string json_string(const Json& object, std::string_view key, std::string_view where,
                        std::optional<std::string> fallback = std::nullopt);

/// The member object or array; throws Error when missing or of another type.
const Json& json_object(const Json& object, std::string_view key, std::string_view where);
const Json& json_array(const Json& object, std::string_view key, std::string_view where);

}  // namespace twofold
