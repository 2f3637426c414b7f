#include "runtime/weight_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <map>
#include <thread>

#include "base/interrupt.h"
#include "expect_error.h"
#include "runtime/generate.h"
#include "runtime/model.h"
#include "support/architectures.h"
#include "support/coded_model.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::TinyModel;

constexpr std::uint64_t kPlenty = std::uint64_t{8} << 30;

/// What goes wrong with the reads of a FaultyReader.
struct Faults {
  std::function<void(ReadRequest&)> before = [](ReadRequest&) {};
  std::function<void(const ReadRequest&, ReadResult&)> after = [](const ReadRequest&, ReadResult&) {};
};

class FaultyReader final : public AsyncReader {
 public:
  FaultyReader(std::size_t depth, Faults faults)
      : faults_(std::move(faults)), reader_(make_thread_reader(depth)) {}
  void submit(const ReadRequest& request) override {
    ReadRequest changed = request;
    faults_.before(changed);
    requests_[request.tag] = request;
    reader_->submit(changed);
  }
  ReadResult wait() override {
    ReadResult result = reader_->wait();
    faults_.after(requests_.at(result.tag), result);
    return result;
  }

 private:
  Faults faults_;
  std::map<std::uint64_t, ReadRequest> requests_;
  std::unique_ptr<AsyncReader> reader_;
};

/// Logits of two sequences: their prompts together, then tokens one by one.
std::vector<float> logits_of(Model& model, int passes = 3) {
  const auto vocab = static_cast<std::int32_t>(model.spec().vocab_size);
  const std::vector<std::int32_t> prompts[] = {{1, 5, 9, 3, 7, 11}, {2, 4}};
  std::vector<KvCache> caches(2, KvCache(model.spec()));
  const Sequence first[] = {{&caches[0], prompts[0]}, {&caches[1], prompts[1]}};
  std::vector<float> logits = model.forward(first, Model::Logits::kAll);
  for (int pass = 0; pass < passes; ++pass) {
    const std::int32_t tokens[] = {(3 + pass * 5) % vocab, (8 + pass * 3) % vocab};
    const Sequence next[] = {{&caches[0], {&tokens[0], 1}}, {&caches[1], {&tokens[1], 1}}};
    const auto more = model.forward(std::span(next).first(pass % 2 == 0 ? 2 : 1), Model::Logits::kLast);
    logits.insert(logits.end(), more.begin(), more.end());
  }
  return logits;
}

/// Every `period`-th weight in memory, the others streamed; 0: all streamed.
ResidencyPlan every(const Model& model, int period) {
  const ModelSpec& spec = model.spec();
  std::vector<const LinearSpec*> linears = {&spec.head, &spec.project_in, &spec.project_out};
  for (const LayerSpec& layer : spec.layers) {
    for (const LinearSpec* linear : layer.linears()) linears.push_back(linear);
    for (const LinearSpec* router : layer.routers()) linears.push_back(router);
  }
  ResidencyPlan plan;
  int i = 0;
  for (const LinearSpec* linear : linears) {
    if (linear->present())
      plan[linear->weight()] = period > 0 && i++ % period == 0 ? Residency::kResident : Residency::kStreamed;
  }
  // `plan` plans it too.
  if (!spec.tied_embeddings) plan[spec.embedding] = Residency::kResident;
  return plan;
}

Model::Options streaming(ResidencyPlan plan, int threads = 1, Faults faults = {}, std::uint64_t buffer = 0) {
  Model::Options options;
  options.threads = threads;
  options.memory.budget = kPlenty;
  options.memory.buffer = buffer;
  options.memory.use = {.sequences = 2, .context = 32, .tokens = 16, .prompt = 16, .logit_rows = 16};
  options.memory.plan = std::move(plan);
  options.reader = [faults](std::size_t depth) { return std::make_unique<FaultyReader>(depth, faults); };
  return options;
}

class Streaming : public ::testing::Test {
 protected:
  /// A model whose matrices have a few chunks each.
  fs::path coded(const std::string& codec, bool tied = false) {
    TinyModel tiny;
    tiny.hidden = 192;
    tiny.intermediate = 704;
    tiny.vocab = 700;
    tiny.tied = tied;
    tiny.write(directory_ / "original");
    testing::write_coded_model(directory_ / "original", directory_ / codec, codec);
    return directory_ / codec;
  }

  TempDirectory directory_;
};

TEST_F(Streaming, LogitsAreThoseOfMappedWeightsWithEveryCodec) {
  for (const char* codec : {"raw", "packed", "tiered", "ans"}) {
    SCOPED_TRACE(codec);
    const fs::path path = coded(codec);
    Model mapped(path, {.threads = 2});
    const auto expected = logits_of(mapped);
    for (const int threads : {1, 3}) {
      Model streamed(path, streaming(every(mapped, 0), threads));
      EXPECT_EQ(streamed.memory()->resident, 0U);
      EXPECT_EQ(logits_of(streamed), expected);
      EXPECT_EQ(logits_of(streamed), expected);  // the next text follows without a break
    }
    Model half(path, streaming(every(mapped, 2), 2));
    EXPECT_GT(half.memory()->resident, 0U);
    EXPECT_GT(half.memory()->streamed, 0U);
    EXPECT_EQ(logits_of(half), expected);
    EXPECT_EQ(logits_of(half), expected);
    fs::remove_all(directory_ / "original");
  }
}

TEST_F(Streaming, TheSmallestBufferDoesAndASmallerOneIsRefused) {
  const fs::path path = coded("tiered", true);
  Model mapped(path, {.threads = 1});
  const auto expected = logits_of(mapped);
  Model all(path, streaming(every(mapped, 0)));
  std::uint64_t least = 4096;
  for (;; least += 4096) {
    try {
      Model streamed(path, streaming(every(mapped, 0), 2, {}, least));
      EXPECT_EQ(logits_of(streamed), expected);
      break;
    } catch (const Error& error) {
      ASSERT_THAT(error.what(), HasSubstr("buffer"));
    }
    ASSERT_LT(least, std::uint64_t{1} << 20);
  }
  EXPECT_GT(least, 4096U);
}

TEST_F(Streaming, MixedExpertsProjectionsAndTransposedWeightsOfEveryArchitecture) {
  for (const std::string& name : testing::architecture_names()) {
    SCOPED_TRACE(name);
    const fs::path path = testing::architecture(name);
    Model mapped(path, {.threads = 1});
    const auto expected = logits_of(mapped);
    Model streamed(path, streaming(every(mapped, 0), 2));
    EXPECT_EQ(logits_of(streamed), expected);
    Model some(path, streaming(every(mapped, 3), 1));
    EXPECT_EQ(logits_of(some), expected);
    EXPECT_EQ(logits_of(some), expected);
  }
}

TEST_F(Streaming, OnlyExpertsThatAreUsedAreRead) {
  testing::write_coded_model(testing::architecture("mixtral"), directory_ / "moe", "ans");
  Model mapped(directory_ / "moe", {.threads = 1});
  std::uint64_t read = 0;
  Faults count;
  count.before = [&](ReadRequest&) { ++read; };
  const auto tokens = std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7};
  std::size_t weights = 1;
  for (const LayerSpec& layer : mapped.spec().layers)
    weights += layer.linears().size() + layer.routers().size();
  std::vector<float> found;
  {
    Model streamed(directory_ / "moe", streaming(every(mapped, 0), 1, count));
    KvCache cache(streamed.spec());
    for (const std::int32_t& token : tokens) {
      const Sequence next{&cache, {&token, 1}};
      found = streamed.forward({&next, 1}, Model::Logits::kLast);
    }
  }
  KvCache cache(mapped.spec());
  std::vector<float> expected;
  for (const std::int32_t& token : tokens) {
    const Sequence next{&cache, {&token, 1}};
    expected = mapped.forward({&next, 1}, Model::Logits::kLast);
  }
  EXPECT_EQ(found, expected);
  const std::size_t experts = mapped.spec().layers[0].moe->experts.size();
  const auto used = static_cast<std::size_t>(mapped.spec().layers[0].moe->top_k);
  ASSERT_LT(used, experts);
  // Each weight is one block here. Reading ahead into the pass that never came adds a few.
  const std::size_t layers = mapped.spec().layers.size();
  EXPECT_LE(read, (tokens.size() + 1) * (weights - layers * 3 * (experts - used)));
}

TEST_F(Streaming, ShortReadsAndDelaysChangeNothing) {
  const fs::path path = coded("packed");
  Model mapped(path, {.threads = 1});
  const auto expected = logits_of(mapped);
  int count = 0;
  Faults shortened;
  shortened.before = [&](ReadRequest& request) {
    if (++count % 2 == 0 && request.out.size() > 4096)
      request.out = request.out.first(request.out.size() / 2);
  };
  Model halves(path, streaming(every(mapped, 2), 2, shortened));
  EXPECT_EQ(logits_of(halves), expected);
  Faults delayed;
  delayed.after = [&](const ReadRequest&, ReadResult&) {
    if (++count % 7 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  Model slow(path, streaming(every(mapped, 2), 2, delayed));
  EXPECT_EQ(logits_of(slow), expected);
  Faults interrupted_reads;
  interrupted_reads.after = [&](const ReadRequest&, ReadResult& result) {
    if (++count % 3 == 0) result.bytes = -EINTR;
  };
  Model again(path, streaming(every(mapped, 2), 2, interrupted_reads));
  EXPECT_EQ(logits_of(again), expected);
}

TEST_F(Streaming, FailedReadsAndDamageAreOneLineAndTheNextTryCanSucceed) {
  const fs::path path = coded("ans");
  Model mapped(path, {.threads = 1});
  const auto expected = logits_of(mapped);
  struct Case {
    std::function<void(const ReadRequest&, ReadResult&)> fault;
    std::string message;
  };
  const Case cases[] = {
      {[](const ReadRequest&, ReadResult& result) { result.bytes = -EIO; }, "read error: Input/output error"},
      {[](const ReadRequest&, ReadResult& result) { result.bytes = 0; }, "the file ends at byte"},
      {[](const ReadRequest&, ReadResult& result) { result.bytes = 1; }, "again and again"},
      {[](const ReadRequest& request, ReadResult&) { request.out[request.out.size() / 2] ^= 4; }, "checksum"},
  };
  for (const int period : {0, 1}) {  // streamed and resident
    for (const Case& one : cases) {
      std::atomic<bool> broken = true;
      int reads = 0;
      Faults faults;
      faults.after = [&](const ReadRequest& request, ReadResult& result) {
        if (broken && ++reads >= 5) one.fault(request, result);
      };
      ResidencyPlan plan = every(mapped, period);
      Model model(path, streaming(plan, 2, faults));
      EXPECT_THAT(error_of([&] { logits_of(model); }),
                  AllOf(HasSubstr("ans/model.safetensors: tensor \"model.layers."), HasSubstr("chunk "),
                        HasSubstr(one.message)));
      broken = false;
      EXPECT_EQ(logits_of(model), expected) << one.message;
    }
  }
}

TEST_F(Streaming, PlainWeightsOfAContainerAreComparedWithTheirChecksums) {
  testing::write_coded_model(testing::architecture("mixtral"), directory_ / "moe", "raw");
  Model mapped(directory_ / "moe", {.threads = 1});
  const std::string router = mapped.spec().layers[0].moe->router.weight();
  const std::uint64_t offset = [&] {
    const TensorView& tensor = mapped.checkpoint().at(router);
    return mapped.checkpoint().offset_in_file(tensor.file, tensor.bytes);
  }();
  Faults faults;
  faults.after = [&](const ReadRequest& request, ReadResult&) {
    if (request.offset <= offset && offset < request.offset + request.out.size())
      request.out[offset - request.offset] ^= 1;
  };
  Model model(directory_ / "moe", streaming(every(mapped, 0), 1, faults));
  EXPECT_THAT(error_of([&] { logits_of(model); }), AllOf(HasSubstr(router), HasSubstr("checksum")));
}

TEST_F(Streaming, FilesCutOrChangedWhileTheModelRunsAreFound) {
  const fs::path path = coded("tiered");
  const fs::path file = path / "model.safetensors";
  Model::Options options = streaming({{"lm_head.weight", Residency::kStreamed}});
  options.reader = make_async_reader;
  Model model(path, options);
  const auto expected = logits_of(model);
  const CodedTensor& embedding = model.container()->coded().at("model.embed_tokens.weight");
  const std::uint64_t offset = model.checkpoint().offset_in_file(embedding.file, embedding.data);
  const auto flip = [&] {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset) + 100);
    const int byte = stream.get();
    stream.seekp(static_cast<std::streamoff>(offset) + 100);
    stream.put(static_cast<char>(byte ^ 8));
  };
  flip();
  EXPECT_THAT(error_of([&] { logits_of(model); }),
              AllOf(HasSubstr("tensor \"model.embed_tokens.weight\": chunk 0: checksum")));
  flip();
  EXPECT_EQ(logits_of(model), expected);

  const std::uint64_t size = fs::file_size(file);
  fs::resize_file(file, size / 3);
  EXPECT_THAT(error_of([&] { logits_of(model); }),
              AllOf(HasSubstr("model.safetensors"), HasSubstr("ends at byte")));
}

TEST_F(Streaming, AnInterruptEndsAPassThatWaitsForStorage) {
  const fs::path path = coded("raw");
  Faults faults;
  faults.after = [](const ReadRequest&, ReadResult&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  };
  Model model(path, streaming({{"lm_head.weight", Residency::kStreamed}}, 1, faults));
  catch_interrupts();
  raise(SIGINT);
  EXPECT_THROW(
      {
        for (int i = 0; i < 100; ++i) logits_of(model);
      },
      Interrupted);
  clear_interrupt();
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

}  // namespace
}  // namespace twofold
