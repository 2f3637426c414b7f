#include "codec/plane_encode.h"

namespace twofold {

void write_plane_chunk_avx2(const PlaneTable& table, std::uint64_t rows, std::span<const std::int8_t> weights,
                            std::vector<std::uint8_t>& out) {
  write_chunk(table, rows, weights, out);
}

}  // namespace twofold
