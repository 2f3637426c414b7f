#include "eval/tasks/records.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "eval/tasks/csv.h"

namespace twofold {

namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string at_line(std::string_view where, std::int64_t line) {
  return fmt::format("{}:{}", where, line);
}

std::vector<Record> read_lines(std::string_view text, std::string_view where) {
  std::vector<Record> records;
  std::int64_t line = 1;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view row = text.substr(at, end - at);
    at = end + 1;
    if (row.find_first_not_of(kSpace) == std::string_view::npos) continue;
    const std::string place = at_line(where, line);
    records.emplace_back(parse_json(row, place), place);
  }
  return records;
}

/// Elements of a JSON array, each parsed by itself so that its line is known.
class ArrayReader {
 public:
  ArrayReader(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  std::vector<Record> records() {
    std::vector<Record> records;
    skip_space();
    ++at_;  // the bracket the caller saw
    skip_space();
    while (peek() != ']') {
      const std::string place = at_line(where_, line_);
      records.emplace_back(parse_json(element(), place), place);
      skip_space();
      if (peek() == ']') break;
      ++at_;  // the comma
      skip_space();
      if (peek() == ']') fail("{}: expected an element behind the comma", at_line(where_, line_));
    }
    ++at_;
    skip_space();
    if (at_ < text_.size()) fail("{}: text behind the end of the array", at_line(where_, line_));
    return records;
  }

 private:
  char peek() const {
    if (at_ >= text_.size()) fail("{}: the file ends inside the array", at_line(where_, line_));
    return text_[at_];
  }

  void skip_space() {
    for (; at_ < text_.size() && kSpace.find(text_[at_]) != std::string_view::npos; ++at_)
      if (text_[at_] == '\n') ++line_;
  }

  /// Up to the comma or bracket that ends it.
  std::string_view element() {
    const std::size_t begin = at_;
    std::int64_t depth = 0;
    bool quoted = false;
    for (;; ++at_) {
      const char c = peek();
      if (c == '\n') ++line_;
      if (quoted) {
        if (c == '\\') ++at_;
        if (c == '"') quoted = false;
        continue;
      }
      if (c == '"') quoted = true;
      if (depth == 0 && (c == ',' || c == ']')) return text_.substr(begin, at_ - begin);
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
    }
  }

  std::string_view text_;
  std::string_view where_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

std::vector<Record> read_csv(std::string_view text, std::string_view where) {
  std::vector<CsvRow> rows = parse_csv(text, where);
  if (rows.empty()) return {};
  const std::string& last = rows.front().fields.back();
  const bool header = last.size() != 1 || last[0] < 'A' || last[0] > 'E';
  std::vector<std::string> names;
  for (std::size_t i = 0; i < rows.front().fields.size(); ++i)
    names.push_back(header ? rows.front().fields[i] : std::to_string(i + 1));
  std::vector<Record> records;
  for (std::size_t i = header ? 1 : 0; i < rows.size(); ++i) {
    const std::string place = at_line(where, rows[i].line);
    if (rows[i].fields.size() != names.size())
      fail("{}: expected {} fields as in the first row, found {}", place, names.size(),
           rows[i].fields.size());
    Json fields = Json::object();
    for (std::size_t f = 0; f < names.size(); ++f) {
      if (!fields.emplace(names[f], rows[i].fields[f]).second)
        fail("{}: column {} appears twice", at_line(where, rows.front().line), json_quote(names[f]));
    }
    records.emplace_back(std::move(fields), place);
  }
  return records;
}

}  // namespace

Record::Record(Json fields, std::string where)
    : fields_(std::make_shared<const Json>(std::move(fields))), where_(std::move(where)) {
  if (!fields_->is_object()) fail("{}: expected a JSON object", where_);
}

bool Record::has(std::string_view field) const {
  return fields_->contains(field);
}

std::string Record::text(std::string_view field) const {
  return json_string(*fields_, field, where_);
}

std::vector<std::string> Record::texts(std::string_view field) const {
  std::vector<std::string> values;
  for (const Json& value : json_array(*fields_, field, where_)) {
    if (!value.is_string()) fail("{}: \"{}\": expected strings in the array", where_, field);
    values.push_back(value.get<std::string>());
  }
  return values;
}

std::size_t Record::index(std::string_view field, std::size_t count) const {
  const auto it = fields_->find(field);
  if (it == fields_->end() || !it->is_string())
    return static_cast<std::size_t>(
        json_int(*fields_, field, where_, 0, static_cast<std::int64_t>(count) - 1));
  const auto& text = it->get_ref<const std::string&>();
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value >= count) {
    fail("{}: \"{}\": expected a number from 0 to {}, found {}", where_, field, count - 1, json_quote(text));
  }
  return value;
}

std::size_t Record::one_of(std::string_view field, const std::vector<std::string>& names) const {
  const std::string value = text(field);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == value) return i;
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  fail("{}: \"{}\": expected one of {}, found {}", where_, field, list, json_quote(value));
}

RecordFile read_records(const std::filesystem::path& path) {
  const std::string contents = read_file(path, std::uint64_t{1} << 30);
  std::string_view text = contents;
  if (text.substr(0, 3) == "\xef\xbb\xbf") text.remove_prefix(3);
  const std::size_t first = text.find_first_not_of(kSpace);
  RecordFile file{path, {}};
  const std::string where = path.string();
  if (first != std::string_view::npos) {
    file.records = text[first] == '{'   ? read_lines(text, where)
                   : text[first] == '[' ? ArrayReader(text, where).records()
                                        : read_csv(text, where);
  }
  if (file.records.empty()) fail("{}: no rows", where);
  return file;
}

}  // namespace twofold
