#pragma once

#include <cstdint>
#include <span>

#include "codec/ans_model.h"
#include "codec/class_order.h"
#include "codec/codec.h"

namespace twofold {

/// Decoder of the codec `ans`, open to those that decode elsewhere.
class AnsDecoder : public Decoder {
 public:
  virtual const ClassOrder& order() const = 0;
  virtual std::span<const AnsModel> models() const = 0;  // of each class
  /// The table of ans_lanes.h for class c; empty when all its weights are one value.
  virtual std::span<const std::uint32_t> slots(std::size_t c) const = 0;

  /// The parts of a chunk.
  struct OpenChunk {
    std::size_t tail = 0;   // weights that are coded serially
    std::size_t words = 0;  // where the words of the lanes begin; 0: there are no lanes
  };
  /// Of a chunk of `count` weights in whole rows, more than none. An Error when the head of the chunk is
  /// broken; the words are not looked at.
  virtual OpenChunk open(std::span<const std::uint8_t> coded, std::size_t count) const = 0;
};

}  // namespace twofold
