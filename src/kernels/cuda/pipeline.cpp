#include "kernels/cuda/pipeline.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace twofold {

Pipeline::Pipeline(std::vector<PipelineStage> stages, int slots, int buffers, PipelineDevice& device)
    : stages_(std::move(stages)),
      slots_(slots),
      buffers_(buffers),
      device_(device),
      places_(2 * stages_.size()) {
  const bool copied =
      std::any_of(stages_.begin(), stages_.end(), [](const auto& stage) { return stage.copied; });
  const bool decoded =
      std::any_of(stages_.begin(), stages_.end(), [](const auto& stage) { return stage.decoded; });
  if (stages_.empty() || slots_ < (copied ? 1 : 0) || buffers_ < (decoded ? 1 : 0)) {
    fail("GPU: a pipeline of {} matrices with {} places for coded and {} for decoded ones", stages_.size(),
         slots_, buffers_);
  }
  for (int i = 0; i < slots_; ++i) free_slots_.push_back(i);
  for (int i = 0; i < buffers_; ++i) free_buffers_.push_back(i);
}

std::size_t Pipeline::events() const {
  return 2 * (static_cast<std::size_t>(slots_) + static_cast<std::size_t>(buffers_));
}
std::size_t Pipeline::copied_event(int slot) const {
  return 2 * static_cast<std::size_t>(slot);
}
std::size_t Pipeline::slot_event(int slot) const {
  return copied_event(slot) + 1;
}
std::size_t Pipeline::decoded_event(int buffer) const {
  return 2 * (static_cast<std::size_t>(slots_) + static_cast<std::size_t>(buffer));
}
std::size_t Pipeline::buffer_event(int buffer) const {
  return decoded_event(buffer) + 1;
}

/// Takes the next turn on the stream of copies. False when it has to wait for a slot whose reader is not
/// known yet.
bool Pipeline::start_copy() {
  Places& own = places(copy_);
  own.slot = -1;
  if (at(copy_).copied) {
    if (free_slots_.empty()) return false;
    own.slot = free_slots_.front();
    free_slots_.pop_front();
    device_.wait(PipelineDevice::Stream::kCopy, slot_event(own.slot));
    device_.copy(copy_ % stages_.size(), own.slot);
    device_.record(PipelineDevice::Stream::kCopy, copied_event(own.slot));
  }
  ++copy_;
  return true;
}

/// The same for the stream of decoding, a turn that has been copied.
bool Pipeline::start_decode() {
  Places& own = places(decode_);
  own.buffer = -1;
  if (at(decode_).decoded) {
    if (free_buffers_.empty()) return false;
    own.buffer = free_buffers_.front();
    free_buffers_.pop_front();
    if (own.slot >= 0) device_.wait(PipelineDevice::Stream::kDecode, copied_event(own.slot));
    device_.wait(PipelineDevice::Stream::kDecode, buffer_event(own.buffer));
    device_.decode(decode_ % stages_.size(), own.slot, own.buffer);
    device_.record(PipelineDevice::Stream::kDecode, decoded_event(own.buffer));
    if (own.slot >= 0) {
      device_.record(PipelineDevice::Stream::kDecode, slot_event(own.slot));
      free_slots_.push_back(own.slot);
    }
  }
  ++decode_;
  return true;
}

void Pipeline::next() {
  // Slots and buffers that are taken belong to turns before this one, whose readers are known, or to those
  // that have been started ahead in order; so the loop ends.
  while (decode_ <= computed_) {
    if (copy_ <= decode_) start_copy();
    if (decode_ < copy_) start_decode();
  }
  const Places own = places(computed_);
  const std::size_t stage = computed_ % stages_.size();
  constexpr auto kCompute = PipelineDevice::Stream::kCompute;
  if (own.buffer >= 0) {
    device_.wait(kCompute, decoded_event(own.buffer));
  } else if (own.slot >= 0) {
    device_.wait(kCompute, copied_event(own.slot));
  }
  device_.compute(stage, own.slot, own.buffer);
  if (own.buffer >= 0) {
    device_.record(kCompute, buffer_event(own.buffer));
    free_buffers_.push_back(own.buffer);
  } else if (own.slot >= 0) {
    device_.record(kCompute, slot_event(own.slot));
    free_slots_.push_back(own.slot);
  }
  ++computed_;

  const std::uint64_t end = computed_ + stages_.size();
  for (bool going = true; going;) {
    going = false;
    while (copy_ < end && start_copy()) going = true;
    while (decode_ < copy_ && start_decode()) going = true;
  }
}

}  // namespace twofold
