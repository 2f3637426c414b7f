#pragma once

#include "compress/stage_one.h"

namespace twofold {

/// A quantized matrix as a coded tensor that keeps its weights raw in memory, to run a layer with.
class MemoryTensor {
 public:
  explicit MemoryTensor(QuantizedMatrix matrix);
  MemoryTensor(const MemoryTensor&) = delete;
  MemoryTensor& operator=(const MemoryTensor&) = delete;

  const CodedTensor& tensor() const { return tensor_; }
  QuantizedMatrix& matrix() { return matrix_; }

 private:
  QuantizedMatrix matrix_;
  CodedTensor tensor_;
};

}  // namespace twofold
