// The way back through every architecture against differences of the loss, on the tiny models of the
// runtime's tests.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "compress/backward/loss_gradients.h"
#include "compress/compress.h"
#include "runtime/logits.h"
#include "support/architectures.h"
#include "support/tiny_model.h"
#include "tensor/tensor_floats.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using testing::architecture;
using testing::architecture_names;
using testing::architecture_test_name;
using testing::gaussian;

/// A copy of a model in F32 whose weights can be changed.
class EditableModel {
 public:
  explicit EditableModel(const fs::path& source) : checkpoint_(source) {
    fs::copy_file(source / "config.json", directory_ / "config.json");
    nlohmann::json header;
    std::uint64_t end = 0;
    for (const auto& [name, tensor] : checkpoint_.tensors()) {
      if (!is_weight(tensor)) continue;
      offsets_[name] = end;
      end += static_cast<std::uint64_t>(tensor.elements()) * sizeof(float);
      header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offsets_[name], end}}};
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const std::uint64_t size = text.size();
    std::ofstream out(path(), std::ios::binary);
    out.write(reinterpret_cast<const char*>(&size), sizeof size);
    out << text;
    start_ = sizeof size + size;
    out.close();
    for (const auto& [name, offset] : offsets_) write(name, original(name));
  }

  const fs::path& directory() const { return directory_.path(); }

  std::vector<float> original(const std::string& name) const {
    const TensorView& tensor = checkpoint_.at(name);
    std::vector<float> values(static_cast<std::size_t>(tensor.elements()));
    read_floats(tensor, 0, values);
    return values;
  }

  void write(const std::string& name, std::span<const float> values) {
    std::fstream file(path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(start_ + offsets_.at(name)));
    file.write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
  }

 private:
  fs::path path() const { return directory_ / "model.safetensors"; }

  Checkpoint checkpoint_;
  TempDirectory directory_;
  std::map<std::string, std::uint64_t> offsets_;
  std::uint64_t start_ = 0;
};

/// Mean over the sequences of the mean loss of their tokens.
double loss_of(const fs::path& directory, const CalibrationText& text) {
  Model model(directory, {.threads = 1});
  double loss = 0;
  for (const auto& sequence : text.sequences) {
    KvCache cache(model.spec());
    const Sequence one{&cache, sequence};
    const auto logits = model.forward({&one, 1}, Model::Logits::kAll);
    const auto vocab = static_cast<std::size_t>(model.spec().vocab_size);
    double sum = 0;
    for (std::size_t t = 0; t + 1 < sequence.size(); ++t)
      sum += negative_log_likelihood({&logits[t * vocab], vocab}, sequence[t + 1]);
    loss += sum / static_cast<double>(sequence.size() - 1);
  }
  return loss / static_cast<double>(text.sequences.size());
}

/// Mean gradients over the sequences.
struct MeanGradients final : GradientObserver {
  void observe(const LinearSpec& linear, const float* x, const float* dy, std::int64_t tokens) override {
    const auto rows = static_cast<std::size_t>(linear.rows);
    const auto cols = static_cast<std::size_t>(linear.cols);
    std::vector<double>& sum = sums[linear.name];
    sum.resize(rows * cols);
    for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) {
      for (std::size_t i = 0; i < rows * cols; ++i)
        sum[i] += static_cast<double>(dy[t * rows + i / cols]) * x[t * cols + i % cols] / sequences;
    }
  }
  double sequences = 1;
  std::map<std::string, std::vector<double>> sums;
};

class Gradients : public ::testing::TestWithParam<std::string> {};

TEST_P(Gradients, AreTheSlopesOfTheLoss) {
  EditableModel edited(architecture(GetParam()));
  Model model(architecture(GetParam()), {.threads = 2});
  const ModelSpec& spec = model.spec();
  Random random(5);
  CalibrationText text;
  for (const std::int64_t length : {23, 9}) {
    auto& sequence = text.sequences.emplace_back();
    for (std::int64_t i = 0; i < std::min(length, spec.max_positions); ++i)
      sequence.push_back(static_cast<TokenId>(random.below(static_cast<std::uint64_t>(spec.vocab_size))));
  }
  const LossGradients gradients(model, text);
  EXPECT_NEAR(gradients.loss(), loss_of(edited.directory(), text), 1e-4);
  for (std::size_t layer = 0; layer < spec.layers.size(); ++layer) {
    MeanGradients mean;
    mean.sequences = static_cast<double>(text.sequences.size());
    gradients.visit(layer, mean);
    for (const LinearSpec* linear : spec.layers[layer].linears()) {
      if (!mean.sums.contains(linear->name)) continue;  // an expert without tokens
      SCOPED_TRACE(linear->name);
      const std::vector<double>& g = mean.sums.at(linear->name);
      const std::vector<float> weights = edited.original(linear->weight());
      // Along the gradient and, as far again, in a random direction.
      double norm = 0;
      for (const double value : g) norm += value * value;
      norm = std::sqrt(norm);
      ASSERT_GT(norm, 0);
      std::vector<double> direction;
      double expected = 0;
      for (const double value : g) {
        direction.push_back(value / norm +
                            static_cast<double>(gaussian(random)) / std::sqrt(static_cast<double>(g.size())));
        expected += value * direction.back();
      }
      // Small, or routers choose other experts.
      const double step = std::min(0.002 / std::fabs(expected), 0.02);
      const auto moved = [&](double by) {
        std::vector<float> values = weights;
        for (std::size_t i = 0; i < g.size(); ++i) {
          const auto row = i / static_cast<std::size_t>(linear->cols);
          const auto col = i % static_cast<std::size_t>(linear->cols);
          const std::size_t at = linear->transposed ? col * static_cast<std::size_t>(linear->rows) + row : i;
          values[at] += static_cast<float>(by * direction[i]);
        }
        edited.write(linear->weight(), values);
        return loss_of(edited.directory(), text);
      };
      const double slope = (moved(step) - moved(-step)) / (2 * step);
      edited.write(linear->weight(), weights);
      EXPECT_NEAR(slope, expected, 0.02 * std::fabs(expected) + 1e-5);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Gradients, ::testing::ValuesIn(architecture_names()), architecture_test_name);

}  // namespace
}  // namespace twofold
