#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/thread_pool.h"
#include "format/container.h"

namespace twofold {

namespace {

void expect_checksum(std::span<const std::uint8_t> bytes, std::uint64_t expected, const std::string& where) {
  const std::uint64_t found = xxh3(bytes);
  if (found != expected) {
    fail("{}: checksum {}, expected {}: the file is damaged", where, hex64(found), hex64(expected));
  }
}

void verify_chunks(const CodedTensor& tensor, std::size_t begin, std::size_t end) {
  std::vector<std::int8_t> weights;
  for (auto chunk = static_cast<std::int64_t>(begin); chunk < static_cast<std::int64_t>(end); ++chunk) {
    tensor.verify_chunk(chunk);
    weights.resize(static_cast<std::size_t>(tensor.chunk_rows(chunk) * tensor.cols));
    tensor.decode_chunk(chunk, weights);
    if (std::find(weights.begin(), weights.end(), std::int8_t{-128}) != weights.end()) {
      fail("{}: tensor {}: chunk {}: has a weight of -128, expected -127 to 127", tensor.file,
           json_quote(tensor.name), chunk);
    }
  }
}

}  // namespace

void Container::verify(const std::function<void(std::uint64_t)>& progress, ThreadPool* pool) const {
  std::map<std::string, const SafetensorsFile*> shards;
  for (const auto& file : checkpoint_.files()) {
    shards.emplace(std::filesystem::path(file->path()).filename().string(), file.get());
  }
  for (const auto& [name, stored] : files_) {
    if (const auto it = shards.find(name); it != shards.end()) {
      expect_checksum(it->second->header(), stored.xxh3, it->second->path() + ": header");
      progress(it->second->header().size());
      continue;
    }
    const MappedFile file(directory() / name);
    if (file.bytes().size() != stored.bytes) {
      fail("{}: file has {} bytes, expected {} from config.json", file.path(), file.bytes().size(),
           stored.bytes);
    }
    expect_checksum(file.bytes(), stored.xxh3, file.path());
    progress(stored.bytes);
  }
  for (const auto& [name, expected] : checksums_) {
    check_interrupt();
    const TensorView& tensor = checkpoint_.at(name);
    expect_checksum(tensor.bytes, expected, fmt::format("{}: tensor {}", tensor.file, json_quote(name)));
    progress(tensor.bytes.size());
    checkpoint_.release(tensor);
  }
  for (const auto& [name, tensor] : coded_) {
    check_interrupt();
    const auto chunks = static_cast<std::size_t>(tensor.chunks());
    if (pool != nullptr) {
      pool->run(chunks, [&tensor = tensor](std::size_t begin, std::size_t end, int) {
        verify_chunks(tensor, begin, end);
      });
    } else {
      verify_chunks(tensor, 0, chunks);
    }
    progress(tensor.data.size());
    TensorView view;
    view.bytes = tensor.data;
    view.file = tensor.file;
    checkpoint_.release(view);
  }
}

}  // namespace twofold
