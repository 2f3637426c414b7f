// What the lanes of a warp do for `packed`, `tiered` and `ans`, run in loops on the CPU, against the codecs'
// scalar references. quad_test.cpp has those of `quad`.

#include <gtest/gtest.h>

#include <numeric>

#include "codec/ans_lanes.h"
#include "codec/ans_model.h"
#include "codec/builtin.h"
#include "codec/device/ans_lane.h"
#include "codec/device/plane_lane.h"
#include "codec/plane_decoder.h"
#include "codec/test_lanes.h"

namespace twofold {
namespace {

device::PlaneClassView view_of(const PlaneClass& c) {
  device::PlaneClassView view{c.low_bits, c.root_bits, c.levels,        c.raw() ? 0 : c.base,
                              {},         {},          c.by_code.data()};
  std::copy(c.leaves.begin(), c.leaves.end(), view.leaves);
  std::copy(c.step.begin(), c.step.end(), view.step);
  return view;
}

/// The rows of a chunk, 64 * table.row_groups() weights each, as warps decode them: a warp goes through the
/// classes, four groups at a time.
Weights plane_warps(const PlaneTable& table, std::size_t rows, std::span<const std::uint8_t> coded) {
  const std::size_t row_groups = table.row_groups();
  PlaneCursor cursor = open_plane_chunk(table, rows, row_groups, coded);
  Weights out(rows * row_groups * kGroupColumns);
  std::size_t first = 0;  // group of a row
  for (std::size_t k = 0; k < table.classes.size(); ++k) {
    const device::PlaneClassView c = view_of(table.classes[k]);
    const std::size_t groups = table.groups(k);
    for (std::size_t begin = 0; begin < rows * groups; begin += 4) {
      std::array<device::PlaneLane, 32> lanes;
      const auto there = static_cast<std::uint32_t>(8 * std::min<std::size_t>(4, rows * groups - begin));
      for (std::uint32_t lane = 0; lane < there; ++lane) {
        lanes[lane].open(c, cursor.plane + (begin + lane / 8) * c.group_bytes(), lane % 8);
      }
      for (int level = 0; level < c.levels; ++level) {
        std::uint64_t& position = cursor.level_bit[static_cast<std::size_t>(level)];
        for (std::uint32_t lane = 0; lane < there; lane += 8) {
          std::uint32_t rank = 0;
          for (std::uint32_t i = lane; i < lane + 8; ++i) {
            const std::uint32_t on = lanes[i].count(c, level);
            lanes[i].take(c, level, cursor.level[static_cast<std::size_t>(level)], position, rank);
            rank += on;
          }
          position += rank;
        }
      }
      for (std::uint32_t lane = 0; lane < there; ++lane) {
        const std::size_t group = begin + lane / 8;
        std::int8_t* const to =
            out.data() + (group / groups * row_groups + first + group % groups) * 64 + lane % 8 * 8;
        for (int i = 0; i < 2; ++i) {
          device::store_word(to + 4 * i,
                             device::add_bytes(lanes[lane].values(c, i), device::four_bytes(c.base)));
        }
      }
    }
    cursor.plane += rows * groups * c.group_bytes();
    first += groups;
  }
  std::uint64_t place = 0;
  for (std::uint64_t i = 0; i < cursor.corrections_left; ++i) {
    const device::PlaneCorrection correction = device::plane_correction(
        cursor.corrections, i, table.corrections().gap_bits, table.corrections().delta_bits);
    place += correction.gap;
    if (place >= out.size()) break;
    out[place] = static_cast<std::int8_t>(out[place] + correction.difference);
  }
  return out;
}

Weights plane_reference(const PlaneTable& table, std::size_t rows, std::span<const std::uint8_t> coded) {
  PlaneCursor cursor = open_plane_chunk(table, rows, table.row_groups(), coded);
  Weights out(rows * table.row_groups() * kGroupColumns);
  decode_plane_rows(table, plane_rows_scalar(), cursor, rows, out.data());
  return out;
}

TEST(PlaneLanes, DecodeWhatTheEncodersWriteAndWhatIsBroken) {
  Random random(1);
  int covered = 0;
  for (const Codec* codec : {&packed_codec(), &tiered_codec()}) {
    for (const char* name : {"gauss 3", "gauss 20", "gauss 60", "laplace 2", "laplace 12", "heavy tails",
                             "uniform", "two", "minus 128", "channels"}) {
      SCOPED_TRACE(std::string(codec->name()) + ", " + name);
      const std::size_t rows = 1 + random.below(9);
      const std::size_t cols = 64 * (1 + random.below(7));
      const Weights weights =
          std::string(name) == "channels" ? channel_matrix(rows, cols) : make_source(name, rows * cols);
      const auto signed_cols = static_cast<std::int64_t>(cols);
      const std::vector<std::uint8_t> bytes = codec->make_table(weights, signed_cols);
      const PlaneDecoder decoder(bytes, signed_cols, plane_rows_scalar());
      if (decoder.table() == nullptr) continue;  // zeros apart
      ++covered;
      const PlaneTable& table = *decoder.table();
      std::vector<std::uint8_t> coded;
      codec->encode(bytes, weights, signed_cols, coded);
      const Weights decoded = plane_warps(table, rows, exact(coded));
      EXPECT_EQ(decoded, plane_reference(table, rows, coded));
      Weights in_order(weights.size());
      columns_to_classes(table.columns, weights, in_order);
      EXPECT_EQ(decoded, in_order);
      // Sizes stay as they are, everything else is noise: ones make all go on, more than 8 bytes of a level
      // hold.
      for (int trial = 0; trial < 10; ++trial) {
        std::vector<std::uint8_t> broken = exact(coded);
        for (std::size_t i = 4 * (static_cast<std::size_t>(table.levels()) + 1); i < broken.size(); ++i) {
          if (random.below(4) != 0)
            broken[i] = static_cast<std::uint8_t>(trial % 3 == 0 ? 255 : random.next());
        }
        ASSERT_EQ(plane_warps(table, rows, broken), plane_reference(table, rows, broken));
      }
    }
  }
  EXPECT_GT(covered, 15);
}

template <int kBits>
void expect_same_quads(const std::uint8_t* group) {
  for (std::uint32_t q = 0; q < 8; ++q) {
    std::uint32_t codes[2];
    device::plane_two_quads<kBits>(group, q, codes);
    EXPECT_EQ(codes[0], device::plane_quad(group, kBits, q)) << kBits << " bits, quad " << q;
    EXPECT_EQ(codes[1], device::plane_quad(group, kBits, q + 8)) << kBits << " bits, quad " << q;
  }
}

TEST(PlaneLanes, TwoQuadsAtOnceAreTheSameAsOneByOne) {
  Random random(3);
  std::array<std::uint8_t, 64> group;
  for (std::uint8_t& byte : group) byte = static_cast<std::uint8_t>(random.next());
  expect_same_quads<1>(group.data());
  expect_same_quads<2>(group.data());
  expect_same_quads<3>(group.data());
  expect_same_quads<4>(group.data());
  expect_same_quads<5>(group.data());
  expect_same_quads<6>(group.data());
  expect_same_quads<7>(group.data());
  expect_same_quads<8>(group.data());
}

TEST(AnsLanes, AWarpDecodesAsTheScalarLoop) {
  Random random(2);
  // Any table of slots: symbols of any frequencies.
  std::vector<std::uint32_t> table;
  while (table.size() < kAnsTotal) {
    const std::uint64_t frequency = std::min<std::uint64_t>(1 + random.below(200), kAnsTotal - table.size());
    const auto weight = static_cast<std::uint32_t>(random.below(256));
    for (std::uint64_t i = 0; i < frequency; ++i) {
      table.push_back(static_cast<std::uint32_t>(weight | frequency << 8 | i << 20));
    }
  }
  constexpr std::size_t kSteps = 50;
  std::vector<std::uint8_t> words(kSteps * kAnsStepBytes);
  for (std::uint8_t& byte : words) byte = static_cast<std::uint8_t>(random.next());
  // A head of sizes and states, as in a chunk.
  std::vector<std::uint8_t> head(32 + 64 * 31 / 8);
  for (std::uint8_t& byte : head) byte = static_cast<std::uint8_t>(random.next());
  const std::uint8_t* const bits = head.data() + 32;
  const auto bytes = static_cast<std::uint32_t>(head.size() - 32);
  std::array<std::uint32_t, 64> states;
  std::uint32_t position = 0;
  for (std::uint32_t lane = 0; lane < 64; ++lane) {
    const std::uint32_t size = device::ans_head_bits(head.data(), lane);
    states[lane] = device::ans_head_state(bits, bytes, position, size);
    std::uint32_t expected = 1;
    for (std::uint32_t i = size; i-- > 0;) {
      const std::uint32_t at = position + i;
      expected = expected << 1 | (bits[at / 8] >> (at % 8) & 1U);
    }
    ASSERT_EQ(states[lane], expected);
    position += size;
  }

  std::array<std::uint32_t, 64> lanes = states;
  Weights decoded(kSteps * 64);
  const std::uint8_t* word = words.data();
  for (std::size_t i = 0; i < decoded.size(); ++i) {
    std::uint32_t& state = lanes[i % 64];
    decoded[i] = static_cast<std::int8_t>(device::ans_lane_step(table.data(), state));
    if (!device::ans_needs_word(state)) continue;
    state = device::ans_with_word(state, word[0] | static_cast<std::uint32_t>(word[1]) << 8);
    word += 2;
  }
  Weights expected(kSteps * 64);
  AnsCursor cursor{words.data(), words.data() + words.size(), expected.data(), kSteps};
  ans_lanes_scalar(table.data(), states.data(), cursor);
  ASSERT_EQ(cursor.steps, 0u);
  EXPECT_EQ(decoded, expected);
  EXPECT_EQ(lanes, states);
  EXPECT_EQ(cursor.words, word);
}

}  // namespace
}  // namespace twofold
