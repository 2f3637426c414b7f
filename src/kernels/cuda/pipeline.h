#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace twofold {

/// A matrix of a pass.
struct PipelineStage {
  bool copied = false;   // its coded bytes come from the CPU's memory
  bool decoded = false;  // its products are taken from decoded weights
};

/// What a pipeline runs on: three streams, each of which does what it is given in order, and events. Calls
/// only put work on streams.
class PipelineDevice {
 public:
  enum class Stream : std::uint8_t { kCopy, kDecode, kCompute };

  virtual ~PipelineDevice() = default;

  /// What the stream is given from now on waits for what was before the event's last record, if there was
  /// one.
  virtual void wait(Stream stream, std::size_t event) = 0;
  virtual void record(Stream stream, std::size_t event) = 0;

  /// On the stream of their name. `slot`: place of coded bytes, -1: they are on the device anyway. `buffer`:
  /// place of decoded weights, -1: products are taken from the coded bytes.
  virtual void copy(std::size_t stage, int slot) = 0;
  virtual void decode(std::size_t stage, int slot, int buffer) = 0;
  virtual void compute(std::size_t stage, int slot, int buffer) = 0;
};

/// Copies, decodes and computes the stages of passes that follow each other, stage n + 1 while n is computed,
/// as far ahead as slots and buffers allow: the three cases of transfer are all stages on the device, some
/// copied, and all copied. A slot is free again when its stage has been decoded or, where it is not,
/// computed.
class Pipeline {
 public:
  /// At least one stage; `slots` and `buffers` are 1 or more where stages need them.
  Pipeline(std::vector<PipelineStage> stages, int slots, int buffers, PipelineDevice& device);

  /// How many events there are.
  std::size_t events() const;
  /// The stage that comes next.
  std::size_t stage() const { return computed_ % stages_.size(); }
  /// Puts its product on the device, and then what can be done ahead: of the stages that follow, at most a
  /// whole pass.
  void next();

 private:
  struct Places {
    int slot = -1;
    int buffer = -1;
  };

  bool start_copy();
  bool start_decode();
  Places& places(std::uint64_t turn) { return places_[turn % places_.size()]; }
  const PipelineStage& at(std::uint64_t turn) const { return stages_[turn % stages_.size()]; }
  std::size_t copied_event(int slot) const;
  std::size_t slot_event(int slot) const;
  std::size_t decoded_event(int buffer) const;
  std::size_t buffer_event(int buffer) const;

  std::vector<PipelineStage> stages_;
  int slots_;
  int buffers_;
  PipelineDevice& device_;
  std::vector<Places> places_;  // of two passes' turns
  // Turns, which count stages of all passes: what comes next on each stream.
  std::uint64_t copy_ = 0;
  std::uint64_t decode_ = 0;
  std::uint64_t computed_ = 0;
  // Those whose last reader has been put on the device, the first one first: they are not freed in turn.
  std::deque<int> free_slots_;
  std::deque<int> free_buffers_;
};

}  // namespace twofold
