#include "eval/tasks/csv.h"

#include "base/error.h"

namespace twofold {

namespace {

class Reader {
 public:
  Reader(std::string_view text, std::string_view where) : text_(text), where_(where) {
    if (text_.substr(0, 3) == "\xef\xbb\xbf") text_.remove_prefix(3);
  }

  std::vector<CsvRow> rows() {
    std::vector<CsvRow> rows;
    while (at_ < text_.size()) {
      if (skip_line_end()) continue;
      CsvRow row;
      row.line = line_;
      do row.fields.push_back(field());
      while (skip_comma());
      if (at_ < text_.size() && !skip_line_end()) fail("{}:{}: text behind a closing quote", where_, line_);
      rows.push_back(std::move(row));
    }
    return rows;
  }

 private:
  bool skip_comma() {
    if (at_ >= text_.size() || text_[at_] != ',') return false;
    ++at_;
    return true;
  }

  bool skip_line_end() {
    const bool pair = text_.substr(at_, 2) == "\r\n";
    if (!pair && text_[at_] != '\n') return false;
    at_ += pair ? 2 : 1;
    ++line_;
    return true;
  }

  std::string field() { return at_ < text_.size() && text_[at_] == '"' ? quoted() : plain(); }

  std::string plain() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '\n' && text_.substr(at_, 2) != "\r\n") {
      if (text_[at_] == '"')
        fail("{}:{}: a quote inside a field that does not begin with one", where_, line_);
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string quoted() {
    const std::int64_t begin = line_;
    std::string value;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        if (at_ >= text_.size() || text_[at_] != '"') return value;
      }
      if (text_[at_] == '\n') ++line_;
      value += text_[at_];
    }
    fail("{}:{}: a field in quotes has no closing quote", where_, begin);
  }

  std::string_view text_;
  std::string_view where_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> parse_csv(std::string_view text, std::string_view where) {
  return Reader(text, where).rows();
}

}  // namespace twofold
