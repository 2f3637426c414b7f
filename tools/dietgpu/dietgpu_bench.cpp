// How fast DietGPU's ANS (github.com/facebookresearch/dietgpu) decodes the bytes of a file, in pieces as
// large as the chunks that `ans` codes. docs/gpu.md says how to build it.
//
//   dietgpu_bench FILE [BYTES OF A PIECE, 65536] [PROBABILITY BITS 9-11, 10]

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "dietgpu/ans/GpuANSCodec.h"
#include "dietgpu/utils/StackDeviceMemory.h"

namespace {

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "dietgpu_bench: %s\n", why.c_str());
  std::exit(1);
}

void check(cudaError_t error) {
  if (error != cudaSuccess) give_up(cudaGetErrorString(error));
}

template <typename T>
T* allocate(std::size_t count) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, count * sizeof(T)));
  return static_cast<T*>(memory);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) give_up("no file");
  const std::size_t piece = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 65536;
  const int bits = argc > 3 ? std::atoi(argv[3]) : 10;
  std::ifstream file(argv[1], std::ios::binary);
  std::vector<char> bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (piece == 0 || piece % 16 != 0) give_up("pieces must be multiples of 16 bytes");
  bytes.resize(bytes.size() / piece * piece);
  if (bytes.empty()) give_up(std::string(argv[1]) + ": less than a piece");
  const auto count = static_cast<std::uint32_t>(bytes.size() / piece);

  auto room = dietgpu::makeStackMemory();
  const dietgpu::ANSCodecConfig config(bits);
  auto* const in = allocate<std::uint8_t>(bytes.size());
  auto* const out = allocate<std::uint8_t>(bytes.size());
  const std::size_t most = (dietgpu::getMaxCompressedSize(static_cast<std::uint32_t>(piece)) + 15) / 16 * 16;
  auto* const coded = allocate<std::uint8_t>(count * most);
  auto* const coded_sizes = allocate<std::uint32_t>(count);
  check(cudaMemcpy(in, bytes.data(), bytes.size(), cudaMemcpyHostToDevice));
  std::vector<const void*> from(count);
  std::vector<const void*> coded_from(count);
  std::vector<void*> coded_to(count);
  std::vector<void*> to(count);
  const std::vector<std::uint32_t> sizes(count, static_cast<std::uint32_t>(piece));
  for (std::size_t i = 0; i < count; ++i) {
    from[i] = in + i * piece;
    to[i] = out + i * piece;
    coded_from[i] = coded_to[i] = coded + i * most;
  }
  dietgpu::ansEncodeBatchPointer(room, config, count, from.data(), sizes.data(), nullptr, coded_to.data(),
                                 coded_sizes, nullptr);
  std::vector<std::uint32_t> stored(count);
  check(cudaMemcpy(stored.data(), coded_sizes, count * sizeof(std::uint32_t), cudaMemcpyDeviceToHost));
  double total = 0;
  for (const std::uint32_t size : stored) total += size;

  cudaEvent_t before = nullptr;
  cudaEvent_t after = nullptr;
  check(cudaEventCreate(&before));
  check(cudaEventCreate(&after));
  std::vector<float> milliseconds;
  for (int i = 0; i < 11; ++i) {
    check(cudaEventRecord(before));
    dietgpu::ansDecodeBatchPointer(room, config, count, coded_from.data(), to.data(), sizes.data(), nullptr,
                                   nullptr, nullptr);
    check(cudaEventRecord(after));
    check(cudaEventSynchronize(after));
    float one = 0;
    check(cudaEventElapsedTime(&one, before, after));
    milliseconds.push_back(one);
  }
  std::vector<char> decoded(bytes.size());
  check(cudaMemcpy(decoded.data(), out, decoded.size(), cudaMemcpyDeviceToHost));
  if (decoded != bytes) give_up("decoded bytes differ");
  std::sort(milliseconds.begin(), milliseconds.end());
  const double seconds = milliseconds[milliseconds.size() / 2] / 1e3;
  std::printf("%zu bytes in %u pieces, %.3f bits per weight, decoded at %.1f GB/s (median of %zu)\n",
              bytes.size(), count, 8 * total / static_cast<double>(bytes.size()),
              static_cast<double>(bytes.size()) / seconds / 1e9, milliseconds.size());
}
