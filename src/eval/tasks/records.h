#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace twofold {

/// One row of a data set: named fields. Errors name file, line and field.
class Record {
 public:
  /// `fields` must be a JSON object.
  Record(Json fields, std::string where);

  const std::string& where() const { return where_; }  // "file.jsonl:12"
  const Json& fields() const { return *fields_; }
  bool has(std::string_view field) const;

  std::string text(std::string_view field) const;
  std::vector<std::string> texts(std::string_view field) const;
  /// A number, or text that is one, in [0, count).
  std::size_t index(std::string_view field, std::size_t count) const;
  /// The text's place in `names`.
  std::size_t one_of(std::string_view field, const std::vector<std::string>& names) const;

 private:
  std::shared_ptr<const Json> fields_;
  std::string where_;
};

/// A data file in memory.
struct RecordFile {
  std::filesystem::path path;
  std::vector<Record> records;  // at least one
};

/// Reads JSON lines, a JSON array of objects, or CSV, by the first character of the file. The fields of CSV
/// are named by the first row; where this is no header (its last field is a letter A to E) they are named
/// "1", "2" and so on. Nothing is left out: what cannot be read is an Error that names file and line.
RecordFile read_records(const std::filesystem::path& path);

}  // namespace twofold
