#include "tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 32;

struct Range {
  std::uint64_t begin = 0;  // bytes from the start of the data
  std::uint64_t end = 0;
  TensorView* tensor = nullptr;
};

/// The parts of a header entry, with messages that name file, tensor and field.
class EntryParser {
 public:
  EntryParser(std::string_view path, const std::string& name, const Json& entry)
      : where_(fmt::format("{}: tensor {}", path, json_quote(name))), entry_(entry) {
    if (!entry.is_object()) fail("{}: expected an object", where_);
  }

  const std::string& where() const { return where_; }

  DType dtype() const {
    DType dtype = DType::kF32;
    const std::string name = json_string(entry_, "dtype", where_);
    if (!parse_dtype(name, dtype)) fail("{}: \"dtype\": unknown type {}", where_, json_quote(name));
    return dtype;
  }

  std::vector<std::int64_t> shape() const {
    const std::vector<std::uint64_t> dims = integers("shape");
    if (dims.size() > kMaxDimensions) {
      fail("{}: \"shape\": {} dimensions, expected at most {}", where_, dims.size(), kMaxDimensions);
    }
    return {dims.begin(), dims.end()};
  }

  Range range() const {
    const std::vector<std::uint64_t> offsets = integers("data_offsets");
    if (offsets.size() != 2) fail("{}: \"data_offsets\": {} numbers, expected 2", where_, offsets.size());
    if (offsets[0] > offsets[1]) {
      fail("{}: \"data_offsets\": begin {} is after end {}", where_, offsets[0], offsets[1]);
    }
    return {offsets[0], offsets[1], nullptr};
  }

 private:
  std::vector<std::uint64_t> integers(std::string_view key) const {
    std::vector<std::uint64_t> values;
    for (const Json& value : json_array(entry_, key, where_)) {
      const bool valid =
          value.is_number_unsigned() && value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
      if (!valid) fail("{}: \"{}\": expected integers from 0 to 2^63-1", where_, key);
      values.push_back(value.get<std::uint64_t>());
    }
    return values;
  }

  std::string where_;
  const Json& entry_;
};

/// Bytes of a tensor, or nothing when the product overflows.
std::optional<std::uint64_t> tensor_bytes(DType dtype, const std::vector<std::int64_t>& shape) {
  auto total = static_cast<std::int64_t>(dtype_bytes(dtype));
  for (const std::int64_t dim : shape) {
    if (__builtin_mul_overflow(total, dim, &total)) return std::nullopt;
  }
  return static_cast<std::uint64_t>(total);
}

void parse_metadata(const Json& json, std::string_view path, std::map<std::string, std::string>& metadata) {
  if (!json.is_object()) fail("{}: \"__metadata__\": expected an object", path);
  for (const auto& [key, value] : json.items()) {
    if (!value.is_string()) fail("{}: \"__metadata__\": {}: expected a string", path, json_quote(key));
    metadata.emplace(key, value.get<std::string>());
  }
}

/// The file's first bytes say how long the header is.
std::span<const std::uint8_t> find_header(std::span<const std::uint8_t> file, std::string_view path) {
  if (file.size() < kLengthBytes) {
    fail("{}: file has {} bytes, expected at least the {} of the header length", path, file.size(),
         kLengthBytes);
  }
  std::uint64_t length;
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kMaxHeaderBytes) {
    fail("{}: header length {}: expected at most {}; is this a safetensors file?", path, length,
         kMaxHeaderBytes);
  }
  if (length > file.size() - kLengthBytes) {
    fail("{}: header length {}: the file ends after {} bytes", path, length, file.size());
  }
  return file.first(kLengthBytes + static_cast<std::size_t>(length));
}

void check_tiling(std::vector<Range>& ranges, std::uint64_t data_bytes, std::string_view path) {
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t position = 0;
  for (const Range& range : ranges) {
    if (range.begin != position) {
      fail("{}: tensor {}: \"data_offsets\": begins at {}, expected {}, the end of the tensor before it",
           path, json_quote(range.tensor->name), range.begin, position);
    }
    position = range.end;
  }
  if (position != data_bytes) {
    fail("{}: the tensors end at byte {} of the data, which has {} bytes", path, position, data_bytes);
  }
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace

std::int64_t TensorView::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t dim : shape) count *= dim;
  return count;
}

void parse_safetensors(std::span<const std::uint8_t> file, std::string_view path,
                       std::map<std::string, TensorView>& tensors,
                       std::map<std::string, std::string>& metadata, std::span<const std::uint8_t>& header) {
  header = find_header(file, path);
  const auto json_bytes = header.subspan(kLengthBytes);
  const auto data = file.subspan(header.size());
  if (json_bytes.empty() || json_bytes.front() != '{')
    fail("{}: the header does not begin with \"{{\"", path);
  const Json json = parse_json({reinterpret_cast<const char*>(json_bytes.data()), json_bytes.size()}, path);

  std::vector<Range> ranges;
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") {
      parse_metadata(entry, path, metadata);
      continue;
    }
    // Names are shown in messages and listings, a line each.
    if (name.empty() || has_control_character(name))
      fail("{}: tensor {}: not a usable name", path, json_quote(name));
    const EntryParser parser(path, name, entry);
    TensorView view;
    view.name = name;
    view.dtype = parser.dtype();
    view.shape = parser.shape();
    view.file = path;
    Range range = parser.range();
    const auto bytes = tensor_bytes(view.dtype, view.shape);
    if (!bytes) fail("{}: \"shape\": the number of bytes overflows", parser.where());
    if (*bytes != range.end - range.begin) {
      fail("{}: \"data_offsets\": {} bytes, expected {} from dtype and shape", parser.where(),
           range.end - range.begin, *bytes);
    }
    if (range.end > data.size()) {
      fail("{}: \"data_offsets\": ends at {}, but the data has {} bytes", parser.where(), range.end,
           data.size());
    }
    view.bytes = data.subspan(range.begin, *bytes);
    range.tensor = &tensors.emplace(name, std::move(view)).first->second;
    ranges.push_back(range);
  }
  check_tiling(ranges, data.size(), path);
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : mapping_(std::make_unique<MappedFile>(path)) {
  parse_safetensors(mapping_->bytes(), mapping_->path(), tensors_, metadata_, header_);
}

}  // namespace twofold
