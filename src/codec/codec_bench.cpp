#include "codec/codec_bench.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/aligned.h"
#include "base/error.h"
#include "codec/entropy.h"

namespace twofold {

namespace {

template <typename Function>
double seconds(const Function& function) {
  const auto begin = std::chrono::steady_clock::now();
  function();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Times {
  double encode = 0;
  double decode = 0;
};

void measure_matrix(const Codec& codec, const BenchMatrix& matrix, const BenchOptions& options,
                    CodecFigures& figures, Times& times) {
  const std::int64_t rows = std::max<std::int64_t>(1, options.weights_per_chunk / matrix.cols);
  const std::size_t chunk_weights = static_cast<std::size_t>(rows) * static_cast<std::size_t>(matrix.cols);
  const auto chunk = [&](std::size_t begin) {
    return matrix.weights.subspan(begin, std::min(chunk_weights, matrix.weights.size() - begin));
  };
  std::vector<std::uint8_t> table;
  std::vector<std::uint8_t> coded;
  std::vector<std::size_t> ends;  // of the chunks in `coded`
  times.encode += seconds([&] {
    table = codec.make_table(matrix.weights, matrix.cols);
    for (std::size_t begin = 0; begin < matrix.weights.size(); begin += chunk_weights) {
      codec.encode(table, chunk(begin), matrix.cols, coded);
      ends.push_back(coded.size());
    }
  });
  figures.coded_bytes += coded.size() + table.size();
  figures.table_bytes += table.size();

  AlignedVector<std::int8_t> decoded(matrix.weights.size());
  std::fill(decoded.begin(), decoded.end(), std::int8_t{0});
  const std::unique_ptr<Decoder> decoder = codec.make_decoder(table, matrix.cols);
  std::vector<double> decode_times(static_cast<std::size_t>(options.repetitions));
  for (double& time : decode_times) {
    time = seconds([&] {
      std::size_t coded_begin = 0;
      for (std::size_t i = 0; i < ends.size(); ++i) {
        const std::size_t begin = i * chunk_weights;
        decoder->decode(std::span(coded).subspan(coded_begin, ends[i] - coded_begin),
                        std::span(decoded).subspan(begin, chunk(begin).size()));
        coded_begin = ends[i];
      }
    });
  }
  if (!std::equal(decoded.begin(), decoded.end(), matrix.weights.begin(), matrix.weights.end())) {
    fail("codec {}: decoded weights differ from the original", codec.name());
  }
  times.decode += median(std::move(decode_times));
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

}  // namespace

double CodecFigures::compression_ratio() const {
  return ratio(static_cast<double>(weights), static_cast<double>(coded_bytes));
}

double CodecFigures::bits_per_weight() const {
  return ratio(8.0 * static_cast<double>(coded_bytes), static_cast<double>(weights));
}

double CodecFigures::over_entropy() const {
  return entropy_bits_per_weight > 0 ? bits_per_weight() / entropy_bits_per_weight - 1 : 0;
}

std::vector<CodecFigures> measure_codecs(std::span<const Codec* const> codecs, const BenchSource& source,
                                         const BenchOptions& options) {
  if (options.repetitions < 1) fail("codec bench: {} repetitions, expected at least 1", options.repetitions);
  std::vector<CodecFigures> all(codecs.size());
  std::vector<Times> times(codecs.size());
  double entropy_bits = 0;
  std::uint64_t weights = 0;
  source([&](const BenchMatrix& matrix) {
    if (matrix.cols < 1 || matrix.weights.size() % static_cast<std::size_t>(matrix.cols) != 0) {
      fail("codec bench: {} weights in rows of {}", matrix.weights.size(), matrix.cols);
    }
    Histogram histogram{};
    count_values(matrix.weights, histogram);
    entropy_bits += order0_entropy(histogram) * static_cast<double>(matrix.weights.size());
    weights += matrix.weights.size();
    for (std::size_t i = 0; i < codecs.size(); ++i)
      measure_matrix(*codecs[i], matrix, options, all[i], times[i]);
  });
  for (std::size_t i = 0; i < codecs.size(); ++i) {
    all[i].name = codecs[i]->name();
    all[i].weights = weights;
    all[i].entropy_bits_per_weight = ratio(entropy_bits, static_cast<double>(weights));
    all[i].encode_bytes_per_second = ratio(static_cast<double>(weights), times[i].encode);
    all[i].decode_bytes_per_second = ratio(static_cast<double>(weights), times[i].decode);
  }
  return all;
}

}  // namespace twofold
