#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace twofold {

/// XXH3, 64 bits: the checksum of every stored chunk and tensor.
std::uint64_t xxh3(std::span<const std::uint8_t> bytes);

/// The same of bytes that come in pieces.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(const Xxh3Stream&) = delete;
  Xxh3Stream& operator=(const Xxh3Stream&) = delete;

  void reset();
  void add(std::span<const std::uint8_t> bytes);
  std::uint64_t value() const;  // of the bytes since the last reset

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 16 lower-case hexadecimal digits, as checksums are written in JSON.
std::string hex64(std::uint64_t value);

}  // namespace twofold
