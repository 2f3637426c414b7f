#include "codec/plane_encode.h"

#include "base/cpu.h"

namespace twofold {

#ifdef __x86_64__
void write_plane_chunk_avx2(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                            std::vector<std::uint8_t>& out);
#endif

void write_plane_chunk(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                       std::vector<std::uint8_t>& out, [[maybe_unused]] Isa isa) {
#ifdef __x86_64__
  if (isa != Isa::kScalar) return write_plane_chunk_avx2(table, rows, weights, out);
#endif
  write_chunk(table, rows, weights, out);
}

}  // namespace twofold
