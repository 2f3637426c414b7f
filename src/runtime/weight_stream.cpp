#include "runtime/weight_stream.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/pages.h"
#include "runtime/block_ring.h"

namespace twofold {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kPage = DirectFile::kPage;

std::uint64_t page_begin(std::uint64_t offset) {
  return offset / kPage * kPage;
}

std::uint64_t page_end(std::uint64_t offset) {
  return align_up(offset, kPage);
}

/// Units that are read together.
struct UnitBlock {
  std::int64_t first_unit = 0;
  std::int64_t last_unit = 0;  // one past it
  ByteRange bytes;             // of the stored weight
};

/// Pages of the file that hold these bytes of a weight.
ByteRange file_pages(const StreamEntry& entry, const ByteRange& bytes) {
  return {page_begin(entry.offset + bytes.begin), page_end(entry.offset + bytes.end)};
}

/// Cuts a weight into blocks whose pages are at most `limit` bytes, unless it is a single unit's. Units that
/// share bytes are in one block.
std::vector<UnitBlock> cut(const StreamEntry& entry, std::uint64_t limit) {
  std::vector<UnitBlock> blocks;
  for (std::int64_t unit = 0; unit < entry.linear->units(); ++unit) {
    const ByteRange range = entry.linear->unit_bytes(unit);
    if (!blocks.empty()) {
      UnitBlock& block = blocks.back();
      const ByteRange both = {block.bytes.begin, std::max(block.bytes.end, range.end)};
      const ByteRange pages = file_pages(entry, both);
      if (range.begin < block.bytes.end || pages.end - pages.begin <= limit) {
        block.bytes = both;
        block.last_unit = unit + 1;
        continue;
      }
    }
    blocks.push_back({unit, unit + 1, range});
  }
  return blocks;
}

/// One weight of the stream.
struct Weight {
  StreamEntry entry;
  StoredWeight stored;
  const DirectFile* file = nullptr;
  std::vector<UnitBlock> blocks;
  std::size_t step = 0;  // where it stands in the order of use
  Pages memory;          // of a resident one
  bool queued = false;   // a resident one: all its blocks are on their way
  bool placed = false;   // it has arrived

  bool resident() const { return entry.residency == Residency::kResident; }

  std::string where(std::uint64_t position) const {
    std::string text = fmt::format("{}: tensor {}: ", file->path(), json_quote(stored.name));
    if (stored.coded == nullptr) return text + fmt::format("byte {}", position);
    std::int64_t chunk = 0;
    while (chunk + 1 < stored.coded->chunks() && stored.coded->chunk_offset(chunk + 1) <= position) ++chunk;
    return text + fmt::format("chunk {}", chunk);
  }
};

/// A place in the order of use: a weight, or the experts of a layer, of which each pass uses others.
struct Step {
  std::size_t weight = 0;
  bool experts = false;
};

/// A block on its way, from when it is asked for until it is given back.
struct Item {
  std::size_t weight = 0;
  std::size_t block = 0;
  std::uint64_t offset = 0;  // in the file, of what is read
  std::uint64_t needed = 0;  // bytes from there up to the block's end
  std::uint64_t done = 0;    // of them read so far
  std::span<std::uint8_t> out;
  std::span<const std::uint8_t> bytes;      // the block
  std::optional<std::uint64_t> ring_place;  // of `out`, when it is in the ring
  int retries = 0;                          // without any progress
  bool arrived = false;
  bool ready = false;  // verified, or `error` says why not
  std::exception_ptr error;
};

}  // namespace

class WeightStream::Impl {
 public:
  Impl(std::vector<StreamEntry> entries, StreamOptions options)
      : options_(std::move(options)), ring_memory_(options_.buffer), ring_(options_.buffer) {
    for (StreamEntry& entry : entries) {
      Weight weight;
      weight.stored = entry.linear->stored();
      auto& file = files_[entry.path];
      if (file == nullptr) file = std::make_unique<DirectFile>(entry.path);
      weight.file = file.get();
      if (entry.residency == Residency::kResident) {
        const ByteRange pages = file_pages(entry, {0, weight.stored.bytes.size()});
        weight.memory = Pages(pages.end - pages.begin);
        weight.blocks = cut(entry, options_.block);
      } else {
        weight.blocks = cut(entry, std::min(options_.block, options_.buffer / 4));
      }
      if (!entry.on_demand || steps_.empty() || !steps_.back().experts)
        steps_.push_back({weights_.size(), entry.on_demand});
      weight.step = steps_.size() - 1;
      weight.entry = std::move(entry);
      weights_.push_back(std::move(weight));
    }
    reader_ = options_.reader(options_.depth);
    for (std::size_t i = 0; i < weights_.size(); ++i) weights_[i].entry.linear->stream(i);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      fail("cannot start a thread for reading: {}", error.code().message());
    }
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  const Item& take(const Linear& linear, bool first) {
    const std::size_t number = linear.streamed().value();
    std::unique_lock lock(mutex_);
    const std::size_t block = first ? 0 : last_taken_ + 1;
    if (failed_ || !is_next(number, block)) {
      if (block != 0) fail("{}: its blocks were not taken one after the other", weights_[number].where(0));
      failed_ = false;
      restart_at_ = number;
      wake_.notify_all();
    }
    for (;;) {
      notice_interrupt();
      if (ready_.wait_for(lock, std::chrono::milliseconds(100), [this] { return has_ready(); })) break;
    }
    if (fatal_) std::rethrow_exception(fatal_);
    const Item& item = queue_.front();
    if (item.error) {
      failed_ = true;  // whoever goes on reads anew
      std::rethrow_exception(item.error);
    }
    last_taken_ = block;
    return item;
  }

  const Weight& weight(const Item& item) const { return weights_[item.weight]; }

  void give_back() {
    {
      const std::lock_guard lock(mutex_);
      const Item& item = queue_.front();
      Weight& weight = weights_[item.weight];
      if (item.ring_place) ring_.give_back(*item.ring_place + item.out.size());
      if (weight.resident() && item.block + 1 == weight.blocks.size()) {
        weight.placed = true;
        weight.entry.linear->place(
            {weight.memory.data() + weight.entry.offset % kPage, weight.stored.bytes.size()});
      }
      queue_.pop_front();
      ++front_;
    }
    wake_.notify_all();
  }

  void expect(std::span<const Linear* const> linears) {
    {
      const std::lock_guard lock(mutex_);
      if (restart_at_ || next_weight() || steps_.empty() || !steps_[step_].experts) return;
      for (const Linear* linear : linears) {
        if (linear->streamed()) demand_.push_back(*linear->streamed());
      }
      go_on();
    }
    wake_.notify_all();
  }

 private:
  // What the thread that computes waits for.

  bool has_ready() const { return fatal_ || (!restart_at_ && !queue_.empty() && queue_.front().ready); }

  /// True when this block is the next one to come.
  bool is_next(std::size_t number, std::size_t block) {
    if (!queue_.empty()) return queue_.front().weight == number && queue_.front().block == block;
    return next_weight() == number && block_ == block;
  }

  /// A pass ends by itself soon after a signal, unless storage is slow.
  void notice_interrupt() {
    constexpr auto kPatience = std::chrono::seconds(1);
    if (!interrupted()) {
      interrupted_since_.reset();
    } else if (!interrupted_since_) {
      interrupted_since_ = Clock::now();
    } else if (Clock::now() - *interrupted_since_ > kPatience) {
      check_interrupt();
    }
  }

  // The order of use.

  void go_on() {
    step_ = (step_ + 1) % steps_.size();
    block_ = 0;
  }

  /// The weight whose block comes next, or nothing when all are in memory or a pass must first say which
  /// experts it uses.
  std::optional<std::size_t> next_weight() {
    const auto wanted = [this](std::size_t number) {
      return !weights_[number].placed && !weights_[number].queued;
    };
    for (; !demand_.empty(); demand_.pop_front()) {
      if (wanted(demand_.front())) return demand_.front();
    }
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (steps_[step_].experts) return std::nullopt;
      if (wanted(steps_[step_].weight)) return steps_[step_].weight;
      go_on();
    }
    return std::nullopt;
  }

  void restart(std::size_t number) {
    queue_.clear();
    ring_.clear();
    front_ = verified_ = next_;
    for (Weight& weight : weights_) weight.queued = false;
    demand_.clear();
    step_ = weights_[number].step;
    block_ = 0;
    if (steps_[step_].experts) demand_.push_back(number);
  }

  // The thread that reads.

  void run() {
    try {
      std::unique_lock lock(mutex_);
      while (!stop_) {
        if (restart_at_ && under_way_ == 0) {
          restart(*restart_at_);
          restart_at_.reset();
        }
        std::vector<ReadRequest> requests;
        while (!restart_at_ && under_way_ < options_.depth && queue_next(requests)) {
        }
        if (!requests.empty()) {
          lock.unlock();
          for (const ReadRequest& request : requests) reader_->submit(request);
          lock.lock();
        }
        if (verified_ != next_ && at(verified_).arrived) {
          verify_next(lock);
        } else if (under_way_ > 0) {
          lock.unlock();
          const ReadResult result = reader_->wait();
          lock.lock();
          receive(result);
        } else {
          wake_.wait(lock, [this] { return stop_ || restart_at_ || has_room(); });
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      fatal_ = std::current_exception();
      ready_.notify_all();
    }
  }

  Item& at(std::uint64_t tag) { return queue_[tag - front_]; }

  /// What is read of the file for a block. Blocks of a resident weight share pages at their
  /// borders, which come with the first of them.
  static ByteRange file_range(const Weight& weight, std::size_t block) {
    const ByteRange& bytes = weight.blocks[block].bytes;
    ByteRange pages = file_pages(weight.entry, bytes);
    if (bytes.begin == bytes.end) return {pages.begin, pages.begin};
    if (weight.resident() && block > 0)
      pages.begin = std::min(page_end(weight.entry.offset + bytes.begin), pages.end);
    return pages;
  }

  bool has_room() {
    const auto number = next_weight();
    if (!number) return false;
    const Weight& weight = weights_[*number];
    const ByteRange range = file_range(weight, block_);
    BlockRing copy = ring_;
    return weight.resident() || range.begin == range.end || copy.take(range.end - range.begin);
  }

  /// Puts the next block on its way; false when there is none now or no room.
  bool queue_next(std::vector<ReadRequest>& requests) {
    const auto number = next_weight();
    if (!number) return false;
    Weight& weight = weights_[*number];
    const ByteRange range = file_range(weight, block_);
    const UnitBlock& block = weight.blocks[block_];
    const std::uint64_t first = weight.entry.offset + block.bytes.begin;
    const std::uint64_t last = weight.entry.offset + block.bytes.end;
    Item item;
    item.weight = *number;
    item.block = block_;
    item.offset = range.begin;
    item.needed = last - std::min(last, range.begin);
    if (weight.resident()) {
      std::uint8_t* memory = weight.memory.data();
      const std::uint64_t base = page_begin(weight.entry.offset);
      item.out = {memory + (range.begin - base), range.end - range.begin};
      item.bytes = {memory + (first - base), last - first};
    } else if (range.begin < range.end) {
      item.ring_place = ring_.take(range.end - range.begin);
      if (!item.ring_place) return false;
      item.out = {ring_memory_.data() + *item.ring_place, range.end - range.begin};
      item.bytes = item.out.subspan(first - range.begin, last - first);
    }
    item.arrived = item.needed == 0;
    if (!item.arrived) {
      requests.push_back({weight.file, item.offset, item.out, next_});
      ++under_way_;
    }
    queue_.push_back(std::move(item));
    ++next_;
    if (++block_ == weight.blocks.size()) {
      weight.queued = weight.resident();
      if (demand_.empty()) {
        go_on();
      } else {
        demand_.pop_front();
        block_ = 0;
      }
    }
    return true;
  }

  void receive(const ReadResult& result) {
    Item& item = at(result.tag);
    const Weight& weight = weights_[item.weight];
    --under_way_;
    const std::uint64_t old = item.done;
    if (result.bytes > 0) item.done += static_cast<std::uint64_t>(result.bytes);
    item.arrived = true;
    if (item.done >= item.needed) {
      weight.file->forget(item.offset, item.out.size());
      return;
    }
    // A part of it: the rest is read again from a page's begin.
    constexpr int kRetries = 8;
    const bool again = result.bytes > 0 || result.bytes == -EINTR || result.bytes == -EAGAIN;
    const std::uint64_t position = item.offset + item.done;
    item.done = page_begin(item.done);
    item.retries = item.done > old ? 0 : item.retries + 1;
    if (again && item.retries <= kRetries) {
      item.arrived = false;
      ++under_way_;
      reader_->submit({weight.file, item.offset + item.done, item.out.subspan(item.done), result.tag});
      return;
    }
    const std::uint64_t first = weight.entry.offset + weight.blocks[item.block].bytes.begin;
    const std::string where = weight.where(std::max(position, first) - weight.entry.offset);
    std::string why = "reads end too early, again and again";
    if (result.bytes == 0) {
      why = fmt::format("the file ends at byte {}, expected {} more", position,
                        item.offset + item.needed - position);
    } else if (result.bytes < 0) {
      why = "read error: " + std::generic_category().message(static_cast<int>(-result.bytes));
    }
    item.error = std::make_exception_ptr(Error(where + ": " + why));
  }

  /// Compares the oldest block that has arrived with its checksums and hands it over.
  void verify_next(std::unique_lock<std::mutex>& lock) {
    Item& item = at(verified_);
    if (!item.error) {
      lock.unlock();  // it stays where it is until it is ready
      try {
        verify(item);
      } catch (const Error&) {
        item.error = std::current_exception();
      }
      lock.lock();
    }
    item.ready = true;
    ++verified_;
    ready_.notify_all();
  }

  void verify(const Item& item) {
    const Weight& weight = weights_[item.weight];
    const UnitBlock& block = weight.blocks[item.block];
    if (const CodedTensor* coded = weight.stored.coded) {
      const StoredPart part{item.bytes, block.bytes.begin};
      for (std::int64_t chunk = block.first_unit; chunk < block.last_unit; ++chunk)
        coded->verify_chunk(chunk, part.at(coded->chunk_offset(chunk), coded->chunk_size(chunk)));
      return;
    }
    if (!weight.entry.xxh3) return;
    if (item.block == 0) hash_.reset();
    hash_.add(item.bytes);
    if (item.block + 1 < weight.blocks.size() || hash_.value() == *weight.entry.xxh3) return;
    fail("{}: tensor {}: checksum {}, expected {}: the file is damaged", weight.file->path(),
         json_quote(weight.stored.name), hex64(hash_.value()), hex64(*weight.entry.xxh3));
  }

  StreamOptions options_;
  std::map<std::string, std::unique_ptr<DirectFile>> files_;
  std::vector<Weight> weights_;
  std::vector<Step> steps_;
  Pages ring_memory_;

  std::mutex mutex_;              // guards all that follows
  std::condition_variable wake_;  // the thread that reads
  std::condition_variable ready_;
  BlockRing ring_;
  std::deque<Item> queue_;          // in the order of use
  std::uint64_t front_ = 0;         // tag of its first
  std::uint64_t verified_ = 0;      // tag of the first that is not ready
  std::uint64_t next_ = 0;          // tag of the next to come
  std::size_t under_way_ = 0;       // reads
  std::size_t step_ = 0;            // what is read next: a place in `steps_` ...
  std::size_t block_ = 0;           // ... and a block of its weight, or of the first of `demand_`
  std::deque<std::size_t> demand_;  // weights of experts that come before that
  std::optional<std::size_t> restart_at_;
  std::exception_ptr fatal_;
  bool stop_ = false;

  // Of the thread that computes.
  std::size_t last_taken_ = 0;  // block
  bool failed_ = false;         // the last block could not be read
  std::optional<Clock::time_point> interrupted_since_;

  // Of the thread that reads.
  Xxh3Stream hash_;  // of a plain weight so far
  std::unique_ptr<AsyncReader> reader_;
  std::thread thread_;
};

WeightStream::WeightStream(std::vector<StreamEntry> entries, StreamOptions options) {
  std::vector<StreamEntry> streamed;
  for (const StreamEntry& entry : entries) {
    if (entry.residency == Residency::kStreamed) streamed.push_back(entry);
  }
  if (const std::uint64_t least = least_buffer(streamed); options.buffer < least)
    fail("a buffer of {} bytes for streamed weights: at least {} are needed", options.buffer, least);
  impl_ = std::make_unique<Impl>(std::move(entries), std::move(options));
}

WeightStream::~WeightStream() = default;

WeightStream::Block WeightStream::take_first(const Linear& linear) {
  return take(linear, true);
}

WeightStream::Block WeightStream::take_next(const Linear& linear) {
  return take(linear, false);
}

WeightStream::Block WeightStream::take(const Linear& linear, bool first) {
  const Item& item = impl_->take(linear, first);
  const std::vector<UnitBlock>& blocks = impl_->weight(item).blocks;
  const UnitBlock& block = blocks[item.block];
  return Block(*this, block.first_unit, block.last_unit, {item.bytes, block.bytes.begin},
               item.block + 1 == blocks.size());
}

void WeightStream::give_back() {
  impl_->give_back();
}

void WeightStream::expect(std::span<const Linear* const> linears) {
  impl_->expect(linears);
}

std::uint64_t WeightStream::least_buffer(std::span<const StreamEntry> entries) {
  std::uint64_t least = 0;
  for (const StreamEntry& entry : entries) {
    for (const UnitBlock& block : cut(entry, 0)) {
      const ByteRange pages = file_pages(entry, block.bytes);
      least = std::max(least, pages.end - pages.begin);
    }
  }
  return least;
}

}  // namespace twofold
