#include "tensor/gguf.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace twofold {

namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::uint32_t kVersion = 3;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kMaxKeyBytes = 65535;  // the format's own limits
constexpr std::uint64_t kMaxTensorNameBytes = 64;
constexpr std::uint32_t kMaxDimensions = 4;

struct TypeInfo {
  std::string_view name;
  std::size_t bytes;  // 0: of no fixed size
};

// In the order of GgufType.
constexpr std::array<TypeInfo, 13> kTypes{{{"uint8", 1},
                                           {"int8", 1},
                                           {"uint16", 2},
                                           {"int16", 2},
                                           {"uint32", 4},
                                           {"int32", 4},
                                           {"float32", 4},
                                           {"bool", 1},
                                           {"string", 0},
                                           {"array", 0},
                                           {"uint64", 8},
                                           {"int64", 8},
                                           {"float64", 8}}};

const TypeInfo& info(GgufType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

/// GGML's numbers of the tensor types that can be read.
struct TensorType {
  std::uint32_t number;
  DType dtype;
};
constexpr std::array<TensorType, 18> kTensorTypes{{{0, DType::kF32},
                                                   {1, DType::kF16},
                                                   {2, DType::kQ40},
                                                   {3, DType::kQ41},
                                                   {6, DType::kQ50},
                                                   {7, DType::kQ51},
                                                   {8, DType::kQ80},
                                                   {10, DType::kQ2K},
                                                   {11, DType::kQ3K},
                                                   {12, DType::kQ4K},
                                                   {13, DType::kQ5K},
                                                   {14, DType::kQ6K},
                                                   {24, DType::kI8},
                                                   {25, DType::kI16},
                                                   {26, DType::kI32},
                                                   {27, DType::kI64},
                                                   {28, DType::kF64},
                                                   {30, DType::kBF16}}};

/// Types that files have and that are not read, so that a message can name them.
std::string_view unread_type_name(std::uint32_t number) {
  constexpr std::array<std::pair<std::uint32_t, std::string_view>, 15> kNames{{{9, "Q8_1"},
                                                                               {15, "Q8_K"},
                                                                               {16, "IQ2_XXS"},
                                                                               {17, "IQ2_XS"},
                                                                               {18, "IQ3_XXS"},
                                                                               {19, "IQ1_S"},
                                                                               {20, "IQ4_NL"},
                                                                               {21, "IQ3_S"},
                                                                               {22, "IQ2_S"},
                                                                               {23, "IQ4_XS"},
                                                                               {29, "IQ1_M"},
                                                                               {34, "TQ1_0"},
                                                                               {35, "TQ2_0"},
                                                                               {39, "MXFP4"},
                                                                               {40, "NVFP4"}}};
  for (const auto& [known, name] : kNames) {
    if (known == number) return name;
  }
  return "unknown";
}

template <typename T>
T load(const std::uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

/// Walks over the header; a read past the end of the file is an Error that says what was being read.
class Cursor {
 public:
  Cursor(std::span<const std::uint8_t> file, const std::string& path) : file_(file), path_(path) {}

  std::uint64_t position() const { return position_; }
  std::uint64_t remaining() const { return file_.size() - position_; }

  std::span<const std::uint8_t> take(std::uint64_t count, std::string_view what) {
    if (count > remaining()) {
      fail("{}: {}: expected {} bytes at byte {}, but the file ends after {}", path_, what, count, position_,
           file_.size());
    }
    const auto part = file_.subspan(position_, count);
    position_ += count;
    return part;
  }

  template <typename T>
  T read(std::string_view what) {
    return load<T>(take(sizeof(T), what).data());
  }

  std::string_view text(std::string_view what) {
    const auto length = read<std::uint64_t>(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

 private:
  std::span<const std::uint8_t> file_;
  const std::string& path_;
  std::uint64_t position_ = 0;
};

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

GgufType read_type(Cursor& cursor, const std::string& where) {
  const auto number = cursor.read<std::uint32_t>(where);
  if (number >= kTypes.size()) {
    fail("{}: value type: expected at most {}, found {}", where, kTypes.size() - 1, number);
  }
  return static_cast<GgufType>(number);
}

void check_booleans(std::span<const std::uint8_t> bytes, const std::string& where) {
  for (const std::uint8_t byte : bytes) {
    if (byte > 1) fail("{}: expected a bool of 0 or 1, found {}", where, byte);
  }
}

/// `where` names the file and the key.
GgufValue read_value(Cursor& cursor, const std::string& where, const std::string& what) {
  GgufValue value;
  value.type = read_type(cursor, where);
  if (value.type == GgufType::kArray) {
    value.array = true;
    value.type = read_type(cursor, where);
    if (value.type == GgufType::kArray) fail("{}: an array of arrays cannot be read", where);
    value.count = cursor.read<std::uint64_t>(what);
    // A string takes at least the 8 bytes of its length.
    const std::size_t least = value.type == GgufType::kString ? 8 : info(value.type).bytes;
    if (value.count > cursor.remaining() / least) {
      fail("{}: an array of {} {} values does not fit the {} bytes that follow", where, value.count,
           info(value.type).name, cursor.remaining());
    }
  }
  if (value.type != GgufType::kString) {
    value.bytes = cursor.take(value.count * info(value.type).bytes, what);
    if (value.type == GgufType::kBool) check_booleans(value.bytes, where);
  } else if (!value.array) {
    const std::string_view text = cursor.text(what);
    value.bytes = as_bytes(text);
  } else {
    Cursor walk = cursor;
    for (std::uint64_t i = 0; i < value.count; ++i) walk.text(what);
    value.bytes = cursor.take(walk.position() - cursor.position(), what);
  }
  return value;
}

struct TensorInfo {
  TensorView view;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

DType read_tensor_type(Cursor& cursor, const std::string& where, const std::string& what) {
  const auto number = cursor.read<std::uint32_t>(what);
  for (const TensorType& known : kTensorTypes) {
    if (known.number == number) return known.dtype;
  }
  std::string expected;
  for (const TensorType& known : kTensorTypes) {
    if (known.number < 24 || known.dtype == DType::kBF16) {
      expected += fmt::format("{}{}", expected.empty() ? "" : ", ", dtype_name(known.dtype));
    }
  }
  fail("{}: type: expected one of {}, found {} ({})", where, expected, unread_type_name(number), number);
}

TensorInfo read_tensor_info(Cursor& cursor, const std::string& path, std::uint64_t index) {
  std::string what = fmt::format("tensor {}", index);
  const std::string_view name = cursor.text(what);
  if (name.empty() || name.size() > kMaxTensorNameBytes || has_control_character(name)) {
    fail("{}: {}: expected a name of 1 to {} bytes without control characters, found {}", path, what,
         kMaxTensorNameBytes, json_quote(name));
  }
  what = fmt::format("tensor {}", json_quote(name));
  const std::string where = fmt::format("{}: {}", path, what);

  TensorInfo tensor;
  tensor.view.name = name;
  const auto dimensions = cursor.read<std::uint32_t>(what);
  if (dimensions == 0 || dimensions > kMaxDimensions) {
    fail("{}: shape: expected 1 to {} dimensions, found {}", where, kMaxDimensions, dimensions);
  }
  std::uint64_t elements = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    const auto size = cursor.read<std::uint64_t>(what);
    if (size == 0) fail("{}: shape: expected dimensions of at least 1, found 0", where);
    if (__builtin_mul_overflow(elements, size, &elements) || elements > INT64_MAX / 8) {
      fail("{}: shape: the number of bytes overflows", where);
    }
    tensor.view.shape.insert(tensor.view.shape.begin(), static_cast<std::int64_t>(size));
  }
  tensor.view.dtype = read_tensor_type(cursor, where, what);
  const std::size_t block = dtype_block(tensor.view.dtype);
  const std::int64_t row = tensor.view.shape.back();
  if (row % static_cast<std::int64_t>(block) != 0) {
    fail("{}: shape: expected rows of a multiple of {} elements for {}, found {}", where, block,
         dtype_name(tensor.view.dtype), row);
  }
  if (__builtin_mul_overflow(elements / block, dtype_bytes(tensor.view.dtype), &tensor.bytes)) {
    fail("{}: shape: the number of bytes overflows", where);
  }
  tensor.offset = cursor.read<std::uint64_t>(what);
  return tensor;
}

void check_overlap(const std::vector<TensorInfo>& tensors, const std::string& path) {
  std::vector<const TensorInfo*> sorted;
  for (const TensorInfo& tensor : tensors) sorted.push_back(&tensor);
  std::sort(sorted.begin(), sorted.end(),
            [](const TensorInfo* a, const TensorInfo* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const TensorInfo& before = *sorted[i - 1];
    if (before.offset + before.bytes > sorted[i]->offset) {
      fail("{}: tensor {}: offset: expected at least {}, the end of tensor {}, found {}", path,
           json_quote(sorted[i]->view.name), before.offset + before.bytes, json_quote(before.view.name),
           sorted[i]->offset);
    }
  }
}

std::int64_t integer_value(GgufType type, const std::uint8_t* bytes, bool& fits) {
  fits = true;
  switch (type) {
    case GgufType::kUint8:
    case GgufType::kBool:
      return *bytes;
    case GgufType::kInt8:
      return load<std::int8_t>(bytes);
    case GgufType::kUint16:
      return load<std::uint16_t>(bytes);
    case GgufType::kInt16:
      return load<std::int16_t>(bytes);
    case GgufType::kUint32:
      return load<std::uint32_t>(bytes);
    case GgufType::kInt32:
      return load<std::int32_t>(bytes);
    case GgufType::kInt64:
      return load<std::int64_t>(bytes);
    case GgufType::kUint64: {
      const auto value = load<std::uint64_t>(bytes);
      fits = std::in_range<std::int64_t>(value);
      return fits ? static_cast<std::int64_t>(value) : 0;
    }
    default:
      fits = false;
      return 0;
  }
}

bool is_integer(GgufType type) {
  return type != GgufType::kFloat32 && type != GgufType::kFloat64 && type != GgufType::kString &&
         type != GgufType::kBool;
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path)
    : mapping_(std::make_unique<MappedFile>(path)), bytes_(mapping_->bytes()), path_(mapping_->path()) {
  parse();
}

GgufFile::GgufFile(std::span<const std::uint8_t> bytes, std::string path)
    : bytes_(bytes), path_(std::move(path)) {
  parse();
}

void GgufFile::parse() {
  Cursor cursor(bytes_, path_);
  const auto magic = cursor.take(std::min<std::uint64_t>(bytes_.size(), kMagic.size()), "magic");
  if (!std::equal(magic.begin(), magic.end(), kMagic.begin(), kMagic.end())) {
    fail("{}: not a GGUF file: expected it to begin with \"GGUF\"", path_);
  }
  const auto version = cursor.read<std::uint32_t>("version");
  if (version != 2 && version != kVersion) {
    const bool big_endian = version != 0 && (version & 0xffff) == 0;
    fail("{}: version: expected 2 or 3, found {}{}", path_, version,
         big_endian ? "; big-endian files cannot be read" : "");
  }
  // Counts are not trusted: each entry is read from the file before anything is kept of it.
  const auto tensor_count = cursor.read<std::uint64_t>("number of tensors");
  const auto pair_count = cursor.read<std::uint64_t>("number of key-value pairs");
  const std::uint64_t metadata_begin = cursor.position();
  for (std::uint64_t i = 0; i < pair_count; ++i) {
    const std::string_view key = cursor.text(fmt::format("key {}", i));
    if (key.empty() || key.size() > kMaxKeyBytes || has_control_character(key)) {
      fail("{}: key {}: expected a name of 1 to {} bytes without control characters, found {}", path_, i,
           kMaxKeyBytes, json_quote(key));
    }
    const std::string what = json_quote(key);
    const GgufValue value = read_value(cursor, fmt::format("{}: {}", path_, what), what);
    if (!metadata_.emplace(key, value).second) fail("{}: {} appears twice", path_, what);
  }
  metadata_bytes_ = bytes_.subspan(metadata_begin, cursor.position() - metadata_begin);

  std::vector<TensorInfo> tensors;
  for (std::uint64_t i = 0; i < tensor_count; ++i) tensors.push_back(read_tensor_info(cursor, path_, i));
  header_ = bytes_.first(cursor.position());
  if (tensors.empty()) return;

  const auto alignment = static_cast<std::uint64_t>(
      integer("general.alignment", 1, std::int64_t{1} << 30, static_cast<std::int64_t>(kDefaultAlignment)));
  if (!std::has_single_bit(alignment)) {
    fail("{}: \"general.alignment\": expected a power of two, found {}", path_, alignment);
  }
  const std::uint64_t data_begin = (cursor.position() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_bytes = bytes_.size() - std::min<std::uint64_t>(data_begin, bytes_.size());
  for (const TensorInfo& tensor : tensors) {
    const auto where = [&] { return fmt::format("{}: tensor {}", path_, json_quote(tensor.view.name)); };
    if (tensor.offset % alignment != 0) {
      fail("{}: offset: expected a multiple of {}, found {}", where(), alignment, tensor.offset);
    }
    if (tensor.offset > data_bytes || tensor.bytes > data_bytes - tensor.offset) {
      fail("{}: expected {} bytes from {} of the data, which has {}", where(), tensor.bytes, tensor.offset,
           data_bytes);
    }
  }
  check_overlap(tensors, path_);
  for (TensorInfo& tensor : tensors) {
    tensor.view.bytes = bytes_.subspan(data_begin + tensor.offset, tensor.bytes);
    tensor.view.file = path_;
    const std::string name = tensor.view.name;
    if (!tensors_.emplace(name, std::move(tensor.view)).second) {
      fail("{}: tensor {} appears twice", path_, json_quote(name));
    }
  }
}

std::string GgufFile::without_tensors() const {
  std::string file(kMagic);
  const auto put = [&](auto number) { file.append(reinterpret_cast<const char*>(&number), sizeof number); };
  put(kVersion);
  put(std::uint64_t{0});
  put(static_cast<std::uint64_t>(metadata_.size()));
  file.append(reinterpret_cast<const char*>(metadata_bytes_.data()), metadata_bytes_.size());
  return file;
}

void GgufFile::release_all() const {
  if (mapping_) mapping_->release(mapping_->bytes());
}

void GgufFile::release(const TensorView& tensor) const {
  if (mapping_) mapping_->release(tensor.bytes);
}

const GgufValue* GgufFile::find(std::string_view key, bool required) const {
  const auto it = metadata_.find(key);
  if (it != metadata_.end()) return &it->second;
  if (required) fail("{}: no key \"{}\"", path_, key);
  return nullptr;
}

void GgufFile::fail_type(std::string_view key, std::string_view expected, const GgufValue& found) const {
  fail("{}: \"{}\": expected {}, found {}{}", path_, key, expected, found.array ? "an array of " : "",
       info(found.type).name);
}

std::string_view GgufFile::string(std::string_view key, std::optional<std::string_view> fallback) const {
  const GgufValue* value = find(key, !fallback);
  if (value == nullptr) return *fallback;
  if (value->array || value->type != GgufType::kString) fail_type(key, "a string", *value);
  return {reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size()};
}

std::int64_t GgufFile::integer(std::string_view key, std::int64_t min, std::int64_t max,
                               std::optional<std::int64_t> fallback) const {
  const GgufValue* value = find(key, !fallback);
  if (value == nullptr) return *fallback;
  if (value->array || !is_integer(value->type)) fail_type(key, "an integer", *value);
  bool fits = false;
  const std::int64_t number = integer_value(value->type, value->bytes.data(), fits);
  if (!fits) fail("{}: \"{}\": expected {} to {}, found a number above 2^63", path_, key, min, max);
  if (number < min || number > max) {
    fail("{}: \"{}\": expected {} to {}, found {}", path_, key, min, max, number);
  }
  return number;
}

double GgufFile::number(std::string_view key, double min, double max, std::optional<double> fallback) const {
  const GgufValue* value = find(key, !fallback);
  if (value == nullptr) return *fallback;
  double number = 0;
  bool fits = !value->array;
  if (fits && value->type == GgufType::kFloat32) {
    number = load<float>(value->bytes.data());
  } else if (fits && value->type == GgufType::kFloat64) {
    number = load<double>(value->bytes.data());
  } else if (fits && is_integer(value->type)) {
    number = static_cast<double>(integer_value(value->type, value->bytes.data(), fits));
  } else {
    fits = false;
  }
  if (!fits) fail_type(key, "a number", *value);
  if (!(number >= min && number <= max)) {  // also refuses NaN
    fail("{}: \"{}\": expected {} to {}, found {}", path_, key, min, max, number);
  }
  return number;
}

bool GgufFile::boolean(std::string_view key, std::optional<bool> fallback) const {
  const GgufValue* value = find(key, !fallback);
  if (value == nullptr) return *fallback;
  if (value->array || value->type != GgufType::kBool) fail_type(key, "a bool", *value);
  return value->bytes[0] != 0;
}

const GgufValue& GgufFile::array(std::string_view key, std::string_view expected) const {
  const GgufValue* value = find(key, true);
  if (!value->array) fail_type(key, expected, *value);
  return *value;
}

std::vector<std::string_view> GgufFile::strings(std::string_view key) const {
  const GgufValue& value = array(key, "an array of strings");
  if (value.type != GgufType::kString) fail_type(key, "an array of strings", value);
  std::vector<std::string_view> texts;
  texts.reserve(value.count);  // each takes at least 8 bytes of the file
  Cursor cursor(value.bytes, path_);
  for (std::uint64_t i = 0; i < value.count; ++i) texts.push_back(cursor.text(key));
  return texts;
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key) const {
  const GgufValue& value = array(key, "an array of integers");
  if (!is_integer(value.type) && value.type != GgufType::kBool) fail_type(key, "an array of integers", value);
  std::vector<std::int64_t> numbers;
  numbers.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    bool fits = false;
    numbers.push_back(integer_value(value.type, value.bytes.data() + i * info(value.type).bytes, fits));
    if (!fits) fail("{}: \"{}\": element {}: expected a number below 2^63", path_, key, i);
  }
  return numbers;
}

std::vector<float> GgufFile::numbers(std::string_view key) const {
  const GgufValue& value = array(key, "an array of numbers");
  if (value.type != GgufType::kFloat32 && value.type != GgufType::kFloat64) {
    fail_type(key, "an array of numbers", value);
  }
  std::vector<float> numbers;
  numbers.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    const std::uint8_t* bytes = value.bytes.data() + i * info(value.type).bytes;
    numbers.push_back(value.type == GgufType::kFloat32 ? load<float>(bytes)
                                                       : static_cast<float>(load<double>(bytes)));
  }
  return numbers;
}

}  // namespace twofold
