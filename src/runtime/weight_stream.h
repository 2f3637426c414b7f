#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/async_reader.h"
#include "runtime/linear.h"
#include "runtime/residency.h"

namespace twofold {

/// One linear layer as a stream sees it.
struct StreamEntry {
  Linear* linear = nullptr;
  std::string path;          // of the file its weight is in
  std::uint64_t offset = 0;  // of the weight in the file
  Residency residency = Residency::kStreamed;
  std::optional<std::uint64_t> xxh3;  // of the whole weight, when it is stored as it was and has one
  bool on_demand = false;             // an expert: read when `expect` says that a pass needs it
};

struct StreamOptions {
  std::uint64_t buffer = 0;                      // bytes, for streamed weights
  std::uint64_t block = std::uint64_t{1} << 20;  // bytes of a read, about
  std::size_t depth = 16;                        // reads under way
  ReaderFactory reader = make_async_reader;
};

/// Brings weights from storage into memory in the order in which passes use them. A thread of its own keeps
/// reads under way, compares what arrives with its checksums, and runs ahead of the computation as far as
/// the buffer reaches, from the end of a pass into the next one. The buffer is a ring of blocks, each some
/// units of a weight. Resident weights come the same way, once, into memory of their own, so that the first
/// pass computes while they load.
///
/// One thread at a time takes blocks. Weights may be taken in any order: one that is not the next makes the
/// stream begin anew there.
class WeightStream {
 public:
  /// Some units of a weight, in memory until the block goes.
  class Block {
   public:
    ~Block() { stream_.give_back(); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    const std::int64_t first_unit;
    const std::int64_t last_unit;  // one past it
    const StoredPart part;
    const bool last;  // of the weight

   private:
    friend class WeightStream;
    Block(WeightStream& stream, std::int64_t first, std::int64_t end, StoredPart bytes, bool last_of_weight)
        : first_unit(first), last_unit(end), part(bytes), last(last_of_weight), stream_(stream) {}
    WeightStream& stream_;
  };

  /// `entries` in the order of use; experts of a layer that are `on_demand` follow each other. Sets their
  /// linears to stream (Linear::stream) and, when a resident one has arrived, to its place. Throws Error when
  /// a file cannot be opened or the buffer is smaller than `least_buffer`.
  WeightStream(std::vector<StreamEntry> entries, StreamOptions options);
  ~WeightStream();
  WeightStream(const WeightStream&) = delete;
  WeightStream& operator=(const WeightStream&) = delete;

  /// The first block of a streamed weight, or the one after that taken last. Waits for it. One block may be
  /// held at a time. Throws Error when it cannot be read or is not what its checksum says, and Interrupted
  /// when the user asked to stop and nobody noticed for a second.
  Block take_first(const Linear& linear);
  Block take_next(const Linear& linear);

  /// The linears of experts that this pass will use, in that order.
  void expect(std::span<const Linear* const> linears);

  /// The smallest buffer for these weights: room for the largest part that is computed from at a time.
  static std::uint64_t least_buffer(std::span<const StreamEntry> entries);

 private:
  Block take(const Linear& linear, bool first);
  void give_back();

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace twofold
