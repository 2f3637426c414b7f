#pragma once

// pack_i8 and matmul_i8 of ops.h by instruction set.

#include <cstddef>
#include <cstdint>

namespace twofold {

void pack_i8_avx2(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                  std::size_t begin, std::size_t end, std::int8_t* packed);
void matmul_i8_avx2(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                    std::size_t tokens, std::int32_t* out, std::size_t out_stride);

void pack_i8_avx2vnni(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                      std::size_t begin, std::size_t end, std::int8_t* packed);
void matmul_i8_avx2vnni(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                        std::size_t tokens, std::int32_t* out, std::size_t out_stride);

void pack_i8_avx512(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                    std::size_t begin, std::size_t end, std::int8_t* packed);
void matmul_i8_avx512(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                      std::size_t tokens, std::int32_t* out, std::size_t out_stride);

void pack_i8_neon(const std::int8_t* x, std::size_t x_stride, std::size_t cols, std::size_t tokens,
                  std::size_t begin, std::size_t end, std::int8_t* packed);
void matmul_i8_neon(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                    std::size_t tokens, std::int32_t* out, std::size_t out_stride);

/// For tokens that pack_i8_neon packed.
void matmul_i8_neondot(const std::int8_t* w, std::size_t rows, std::size_t cols, const std::int8_t* packed,
                       std::size_t tokens, std::int32_t* out, std::size_t out_stride);

}  // namespace twofold
