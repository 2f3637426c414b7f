// The codecs `packed` and `tiered`: planes of fixed width, and for `tiered` code words that go on in levels.

#include "codec/plane_codec.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/aligned.h"
#include "codec/builtin.h"
#include "codec/plane_decoder.h"
#include "codec/plane_planner.h"

namespace twofold {

namespace {

using Plan = PlaneClass (*)(const Histogram& histogram, CyclePrice price);

double packed_bits(const Histogram& histogram, CyclePrice price) {
  return packed_cost(histogram, price) + 8 * 2;
}

/// The entropy is what a good prefix code comes near to, and quick to compute.
double tiered_bits(const Histogram& histogram, CyclePrice) {
  const std::uint64_t n = std::accumulate(histogram.begin(), histogram.end(), std::uint64_t{0});
  return order0_entropy(histogram) * static_cast<double>(n) + 8 * 24;
}

/// A one-class table for a sequence. It is spread anyway, so that time matters less.
PlaneTable sequence_table(const Histogram& histogram) {
  constexpr CyclePrice kPrice = 0.005;
  PlaneTable table{.columns = one_class(1), .classes = {plan_tiered(histogram, kPrice)}};
  plan_corrections(table, {&histogram, 1}, kPrice);
  return table;
}

/// Masks of four weights: bit i is set when weight i is not zero.
std::vector<std::int8_t> zero_masks(std::span<const std::int8_t> weights) {
  std::vector<std::int8_t> masks((weights.size() + 3) / 4, 0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] != 0) masks[i / 4] = static_cast<std::int8_t>(masks[i / 4] | 1 << (i % 4));
  }
  return masks;
}

/// Rows at equal distances, about `limit` weights of them, or all where there are not many more.
std::vector<std::int8_t> sample_rows(std::span<const std::int8_t> weights, std::size_t cols,
                                     std::size_t limit) {
  const std::size_t rows = weights.size() / cols;
  const std::size_t stride = std::max<std::size_t>(1, weights.size() / limit);
  std::vector<std::int8_t> sample;
  sample.reserve((rows + stride - 1) / stride * cols);
  for (std::size_t row = 0; row < rows; row += stride) {
    const auto part = weights.subspan(row * cols, cols);
    sample.insert(sample.end(), part.begin(), part.end());
  }
  return sample;
}

class PlaneCodec : public Codec {
 public:
  using Bits = double (*)(const Histogram& histogram, CyclePrice price);

  PlaneCodec(std::string_view name, Plan plan, Bits class_bits, std::vector<CyclePrice> prices,
             double near_entropy, double row_price, bool may_part_zeros)
      : name_(name),
        plan_(plan),
        class_bits_(class_bits),
        prices_(std::move(prices)),
        near_entropy_(near_entropy),
        row_price_(row_price),
        may_part_zeros_(may_part_zeros) {}

  std::string_view name() const override { return name_; }

  std::vector<std::uint8_t> make_table(std::span<const std::int8_t> weights,
                                       std::int64_t cols) const override {
    if (weights.empty()) return {};
    // Any weight can be coded with any table, and a large matrix is known well enough by a part of it.
    constexpr std::size_t kEnough = 1 << 21;
    if (weights.size() >= 2 * kEnough && weights.size() >= 2 * static_cast<std::size_t>(cols)) {
      return table_of(sample_rows(weights, static_cast<std::size_t>(cols), kEnough), cols);
    }
    return table_of(weights, cols);
  }

  void encode(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk, std::int64_t cols,
              std::vector<std::uint8_t>& out) const override {
    if (chunk.empty()) return;
    const bool zeros_apart = table[0] == kPlaneZerosApart;
    table = table.subspan(1);
    if (zeros_apart) return encode_zeros_apart(table, chunk, out);
    const PlaneTable parsed = read_plane_table(table, cols);
    std::vector<std::int8_t> sorted(chunk.size());
    columns_to_classes(parsed.columns, chunk, sorted);
    write_plane_chunk(parsed, chunk.size() / static_cast<std::size_t>(cols), sorted, out);
  }

  std::unique_ptr<Decoder> make_decoder(std::span<const std::uint8_t> table, std::int64_t cols,
                                        Isa isa) const override {
    return std::make_unique<PlaneDecoder>(table, cols, plane_rows(isa));
  }

 private:
  std::vector<std::uint8_t> table_of(std::span<const std::int8_t> weights, std::int64_t cols) const {
    PlaneTable table;
    // Every row of every class begins and ends a sum, which takes the time of a few columns.
    const double class_price = row_price_ * static_cast<double>(weights.size()) / static_cast<double>(cols);
    table.columns = make_column_classes(weights, cols, kMaxColumnClasses, [&](const Histogram& histogram) {
      return class_bits_(histogram, prices_.back()) + class_price;
    });
    const std::vector<Histogram> histograms = class_histograms(weights, cols, table.columns);
    const double bits = plan_classes(histograms, table);
    std::vector<std::uint8_t> out;
    if (may_part_zeros_ && part_zeros(weights, bits, out)) return out;
    out.push_back(kPlaneDense);
    write_plane_table(table, out);
    return out;
  }

  /// Plans the classes and corrections of a table as fast to decode as its size allows: with the highest
  /// prices that keep it below the entropy of the whole matrix, or where no prices do, near it. Returns the
  /// estimated size.
  double plan_classes(std::span<const Histogram> histograms, PlaneTable& table) const {
    Histogram whole{};
    for (const Histogram& histogram : histograms) {
      for (std::size_t v = 0; v < whole.size(); ++v) whole[v] += histogram[v];
    }
    const std::uint64_t n = std::accumulate(whole.begin(), whole.end(), std::uint64_t{0});
    const double entropy = order0_entropy(whole) * static_cast<double>(n);
    constexpr double kBelow = 0.985;  // leaves room for tables and headers
    double limit = 0;
    double bits = 0;
    // The lowest prices first: they tell what can be reached.
    for (std::size_t i = prices_.size(); i-- > 0;) {
      std::vector<PlaneClass> classes;
      double planned = 0;
      for (const Histogram& histogram : histograms) {
        classes.push_back(plan_(histogram, prices_[i]));
        planned += plane_bits(classes.back(), histogram);
      }
      if (table.classes.empty()) {
        limit = planned <= entropy ? kBelow * entropy : near_entropy_ * entropy;
      } else if (planned > limit) {
        break;
      }
      table.classes = std::move(classes);
      plan_corrections(table, histograms, prices_[i]);
      bits = planned;
    }
    return bits;
  }

  /// Writes the table for zeros apart if that takes less than `bits`.
  bool part_zeros(std::span<const std::int8_t> weights, double bits, std::vector<std::uint8_t>& out) const {
    Histogram values{};
    count_values(weights, values);
    const std::uint64_t zeros = values[0];
    if (zeros * 10 < weights.size()) return false;
    // Apart, weights cannot be multiplied without being spread first.
    constexpr double kWorthwhile = 0.97;
    const double limit = kWorthwhile * bits;
    if (order0_entropy(values) * static_cast<double>(weights.size()) > limit) return false;
    values[0] = 0;
    Histogram masks{};
    count_values(zero_masks(weights), masks);
    const PlaneTable mask_table = sequence_table(masks);
    const PlaneTable value_table = sequence_table(values);
    const double apart =
        plane_bits(mask_table.classes[0], masks) + plane_bits(value_table.classes[0], values);
    if (apart > limit) return false;
    out.push_back(kPlaneZerosApart);
    write_plane_table(mask_table, out);
    write_plane_table(value_table, out);
    return true;
  }

  static void encode_zeros_apart(std::span<const std::uint8_t> table, std::span<const std::int8_t> chunk,
                                 std::vector<std::uint8_t>& out) {
    const PlaneTable mask_table = read_plane_table(table, 1);
    const PlaneTable value_table = read_plane_table(table, 1);
    std::vector<std::uint8_t> masks;
    write_plane_chunk(mask_table, 1, zero_masks(chunk), masks);
    std::vector<std::int8_t> values;
    std::copy_if(chunk.begin(), chunk.end(), std::back_inserter(values),
                 [](std::int8_t w) { return w != 0; });
    const auto mask_bytes = static_cast<std::uint32_t>(masks.size());
    out.resize(out.size() + kPlaneZerosHeader);
    std::memcpy(out.data() + out.size() - kPlaneZerosHeader, &mask_bytes, sizeof mask_bytes);
    out.insert(out.end(), masks.begin(), masks.end());
    write_plane_chunk(value_table, 1, values, out);
  }

  std::string_view name_;
  Plan plan_;
  Bits class_bits_;                 // estimate for a class, its parameters included
  std::vector<CyclePrice> prices_;  // falling
  double near_entropy_;             // how much larger than the entropy a fast code may be
  double row_price_;                // bits per row and class
  bool may_part_zeros_;
};

}  // namespace

const Codec& packed_codec() {
  // Read from memory 64 weights take about as long for a bit each as an AVX2 core takes for a cycle and a
  // half: where both overlap, a cycle is worth about a third of a bit. A row of a class costs ten cycles
  // more.
  constexpr CyclePrice kPrice = 0.35;
  static const PlaneCodec codec("packed", plan_packed, packed_bits, {kPrice}, 1, 10 * kGroupColumns * kPrice,
                                false);
  return codec;
}

const Codec& tiered_codec() {
  static const PlaneCodec codec("tiered", plan_tiered, tiered_bits,
                                {0.06, 0.04, 0.03, 0.02, 0.015, 0.01, 0.006, 0.003}, 1.045, 4, true);
  return codec;
}

}  // namespace twofold
