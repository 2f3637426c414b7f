#include "base/hash.h"

#include <fmt/core.h>
#include <xxhash.h>

#include <new>

namespace twofold {

std::uint64_t xxh3(std::span<const std::uint8_t> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct Xxh3Stream::State {
  XXH3_state_t* xxh = XXH3_createState();
  State() {
    if (xxh == nullptr) throw std::bad_alloc();
  }
  ~State() { XXH3_freeState(xxh); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Xxh3Stream::Xxh3Stream() : state_(std::make_unique<State>()) {
  reset();
}

Xxh3Stream::~Xxh3Stream() = default;

void Xxh3Stream::reset() {
  XXH3_64bits_reset(state_->xxh);
}

void Xxh3Stream::add(std::span<const std::uint8_t> bytes) {
  XXH3_64bits_update(state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t Xxh3Stream::value() const {
  return XXH3_64bits_digest(state_->xxh);
}

std::string hex64(std::uint64_t value) {
  return fmt::format("{:016x}", value);
}

}  // namespace twofold
