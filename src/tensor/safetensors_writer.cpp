#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/aligned.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "tensor/safetensors.h"

namespace twofold {

namespace {

constexpr std::uint64_t kLengthBytes = 8;

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

struct SafetensorsWriter::Impl {
  Impl(const std::filesystem::path& target, std::uint64_t reserved)
      : path(target.string()), file(target), reserved_bytes(align_up(kLengthBytes + reserved)) {}

  /// Sends what is held to disk, behind the room for the header.
  void spill() {
    file.write_zeros(reserved_bytes);
    file.write(held);
    held = {};
    spilled = true;
  }

  struct Open {
    std::string name;
    DType dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin;
  };

  std::string path;
  FileWriter file;
  std::uint64_t reserved_bytes;    // length field, JSON and padding, once spilled
  std::vector<std::uint8_t> held;  // data not yet on disk
  bool spilled = false;
  std::uint64_t data_bytes = 0;
  std::string entries;  // of the JSON, each with a comma before it
  std::set<std::string> names;
  std::optional<Open> open;
};

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::uint64_t reserved_header_bytes)
    : impl_(std::make_unique<Impl>(path, reserved_header_bytes)) {}

SafetensorsWriter::~SafetensorsWriter() = default;

void SafetensorsWriter::begin_tensor(const std::string& name, DType dtype, std::vector<std::int64_t> shape) {
  if (impl_->open)
    fail("{}: tensor {} begun inside {}", impl_->path, json_quote(name), json_quote(impl_->open->name));
  if (name.empty() || name == "__metadata__" || !impl_->names.insert(name).second) {
    fail("{}: tensor {}: the name is reserved or used already", impl_->path, json_quote(name));
  }
  impl_->open = Impl::Open{name, dtype, std::move(shape), impl_->data_bytes};
}

void SafetensorsWriter::write(std::span<const std::uint8_t> bytes) {
  Impl& impl = *impl_;
  if (!impl.open) fail("{}: bytes written outside of a tensor", impl.path);
  if (!impl.spilled && impl.held.size() + bytes.size() > kHeldBytes) impl.spill();
  if (impl.spilled) {
    impl.file.write(bytes);
  } else {
    impl.held.insert(impl.held.end(), bytes.begin(), bytes.end());
  }
  impl.data_bytes += bytes.size();
}

void SafetensorsWriter::end_tensor() {
  Impl& impl = *impl_;
  if (!impl.open) fail("{}: no tensor to end", impl.path);
  const Impl::Open tensor = std::move(*impl.open);
  impl.open.reset();
  const std::uint64_t bytes = impl.data_bytes - tensor.begin;
  std::vector<std::int64_t> shape = tensor.shape;
  if (shape == std::vector<std::int64_t>{-1} && tensor.dtype == DType::kU8) {
    shape = {static_cast<std::int64_t>(bytes)};
  }
  auto expected = static_cast<std::int64_t>(dtype_bytes(tensor.dtype));
  bool valid = true;
  for (const std::int64_t dim : shape)
    valid = valid && dim >= 0 && !__builtin_mul_overflow(expected, dim, &expected);
  if (!valid || static_cast<std::uint64_t>(expected) != bytes) {
    fail("{}: tensor {}: {} bytes written, but {} {} was announced", impl.path, json_quote(tensor.name),
         bytes, dtype_name(tensor.dtype), json_text(shape));
  }
  impl.entries +=
      fmt::format(",{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}", json_text(tensor.name),
                  dtype_name(tensor.dtype), json_text(shape), tensor.begin, impl.data_bytes);
}

void SafetensorsWriter::add(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                            std::span<const std::uint8_t> bytes) {
  begin_tensor(name, dtype, std::move(shape));
  write(bytes);
  end_tensor();
}

std::uint64_t SafetensorsWriter::data_bytes() const {
  return impl_->data_bytes;
}

std::uint64_t SafetensorsWriter::header_bytes() const {
  return kLengthBytes + impl_->entries.size();
}

SafetensorsWriter::Summary SafetensorsWriter::finish(const std::map<std::string, std::string>& metadata) {
  Impl& impl = *impl_;
  if (impl.open) fail("{}: tensor {} was not ended", impl.path, json_quote(impl.open->name));
  std::string text(kLengthBytes, '\0');
  text += "{\"__metadata__\":" + json_text(Json(metadata)) + impl.entries + "}";
  if (impl.spilled && text.size() > impl.reserved_bytes) {
    fail("{}: the header takes {} bytes, {} were reserved", impl.path, text.size(), impl.reserved_bytes);
  }
  text.resize(impl.spilled ? impl.reserved_bytes : align_up(text.size()), ' ');
  for (std::uint64_t i = 0; i < kLengthBytes; ++i) {
    text[i] = static_cast<char>((text.size() - kLengthBytes) >> (8 * i) & 0xff);
  }
  if (impl.spilled) {
    impl.file.overwrite(0, as_bytes(text));
  } else {
    impl.file.write(as_bytes(text));
    impl.file.write(impl.held);
  }
  impl.file.close();
  return {text.size() + impl.data_bytes, xxh3(as_bytes(text))};
}

std::uint64_t SafetensorsWriter::header_bytes_bound(std::string_view name) {
  constexpr std::uint64_t kDigits = 20;  // of a 64-bit number, with a comma
  constexpr std::uint64_t kFixed = 64;   // ,:{"dtype":"F8_E4M3","shape":[],"data_offsets":[]}
  return json_text(Json(std::string(name))).size() + kFixed + 10 * kDigits;
}

}  // namespace twofold
