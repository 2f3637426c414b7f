// The fixtures hold what the reference implementation computes in FP32 on the same weights.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "runtime/model.h"
#include "tensor/safetensors.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;

/// A model and its reference logits, both relative to the repository.
struct Fixture {
  std::string name;
  std::string model;
  std::string reference;
};

std::vector<Fixture> fixtures() {
  const std::string data = "tests/runtime/data/";
  std::vector<Fixture> all = {
      {"books_llama_8m", "demo/books-llama-8m", data + "books-llama-8m.reference.safetensors"}};
  for (const std::string& parent : {data, data + "architectures/"}) {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(fs::path(TWOFOLD_SOURCE_DIR) / parent)) {
      if (fs::exists(entry.path() / "reference.safetensors"))
        names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      std::string test = name;
      std::replace(test.begin(), test.end(), '-', '_');
      all.push_back({test, parent + name, parent + name + "/reference.safetensors"});
    }
  }
  return all;
}

template <typename T>
std::vector<T> read(const SafetensorsFile& file, const std::string& name) {
  const TensorView& tensor = file.tensors().at(name);
  std::vector<T> values(static_cast<std::size_t>(tensor.elements()));
  std::memcpy(values.data(), tensor.bytes.data(), tensor.bytes.size());
  return values;
}

std::vector<std::int32_t> read_ids(const SafetensorsFile& file, const std::string& name) {
  std::vector<std::int32_t> ids;
  for (const std::int64_t id : read<std::int64_t>(file, name)) ids.push_back(static_cast<std::int32_t>(id));
  return ids;
}

/// Largest difference relative to the largest logit.
double relative_error(std::span<const float> found, std::span<const float> expected) {
  double scale = 0;
  double error = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    scale = std::max(scale, std::fabs(static_cast<double>(expected[i])));
    error = std::max(error, std::fabs(static_cast<double>(found[i]) - expected[i]));
  }
  return error / scale;
}

class Reference : public ::testing::TestWithParam<Fixture> {};

TEST_P(Reference, PrefillAndCachedDecodeGiveTheReferenceLogits) {
  const fs::path root = TWOFOLD_SOURCE_DIR;
  const SafetensorsFile fixture(root / GetParam().reference);
  Model model(root / GetParam().model, {.threads = 2});
  const auto vocab = static_cast<std::size_t>(model.spec().vocab_size);
  const auto prompt = read_ids(fixture, "input_ids");
  const auto continuation = read_ids(fixture, "decode_ids");
  const auto prefill_logits = read<float>(fixture, "prefill_logits");
  const auto decode_logits = read<float>(fixture, "decode_logits");

  KvCache cache(model.spec());
  const Sequence sequence{&cache, prompt};
  const auto prefilled = model.forward({&sequence, 1}, Model::Logits::kAll);
  ASSERT_EQ(prefilled.size(), prefill_logits.size());
  double worst = relative_error(prefilled, prefill_logits);
  EXPECT_LT(worst, 1e-3) << "prefill";
  ASSERT_FALSE(continuation.empty());
  for (std::size_t step = 0; step < continuation.size(); ++step) {
    const Sequence next{&cache, {&continuation[step], 1}};
    const auto logits = model.forward({&next, 1}, Model::Logits::kLast);
    if ((step + 1) * vocab > decode_logits.size()) continue;
    const double error = relative_error(logits, std::span(decode_logits).subspan(step * vocab, vocab));
    EXPECT_LT(error, 1e-3) << "step " << step;
    worst = std::max(worst, error);
  }
  RecordProperty("relative_error", std::to_string(worst));
  std::printf("%-24s relative error %.1e\n", GetParam().name.c_str(), worst);
}

INSTANTIATE_TEST_SUITE_P(Models, Reference, ::testing::ValuesIn(fixtures()),
                         [](const auto& fixture) { return fixture.param.name; });

}  // namespace
}  // namespace twofold
