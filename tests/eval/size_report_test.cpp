#include "eval/size_report.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "compress/compress.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

using testing::TinyModel;

TEST(SizeReport, OriginalDirectory) {
  const TempDirectory directory;
  TinyModel tiny;
  tiny.dtype = DType::kBF16;
  tiny.write(directory / "scratch");
  std::fill_n(tiny.weights.at("model.layers.0.mlp.up_proj.weight").begin(), 48 * 32 / 4, 0.0F);
  tiny.write(directory / "model");
  const SizeReport report = measure_sizes(directory / "model");
  EXPECT_EQ(report.stored_bytes, 2 * report.elements);
  EXPECT_EQ(report.fp16_bytes, 2 * report.elements);
  EXPECT_EQ(report.coded_elements, 0U);
  EXPECT_EQ(report.directory_bytes, directory_bytes(directory / "model"));
  for (const TensorSize& tensor : report.tensors) {
    EXPECT_EQ(tensor.stored_as, "BF16");
    EXPECT_EQ(tensor.bits_per_weight, 16);
    if (tensor.name == "model.layers.0.mlp.up_proj.weight") {
      EXPECT_NEAR(tensor.zeros, 0.25, 0.01);
    }
  }
}

TEST(SizeReport, EveryStoredByteIsCounted) {
  const TempDirectory directory;
  TinyModel().write(directory / "model");
  CompressOptions options;
  options.source = directory / "model";
  options.destination = directory / "out";
  options.calibration.tokens = 128;
  options.recipe.sparsity = 0.5;
  compress_model(options);
  const SizeReport report = measure_sizes(options.destination);
  const SafetensorsFile file(options.destination / "model.safetensors");
  const std::uint64_t file_bytes = std::filesystem::file_size(options.destination / "model.safetensors");
  EXPECT_EQ(report.stored_bytes, file_bytes - file.header().size());
  std::uint64_t elements = 0;
  for (const TensorSize& tensor : report.tensors) {
    elements += tensor.elements;
    if (!tensor.coded) continue;
    EXPECT_EQ(tensor.stored_as, "ans");
    EXPECT_GT(tensor.bits_per_weight, tensor.entropy);
    EXPECT_NEAR(tensor.cr, 8 / tensor.bits_per_weight, 1e-9);
    if (tensor.name.starts_with("model.layers")) {
      EXPECT_GE(tensor.zeros, 0.5);
    }
  }
  EXPECT_EQ(report.elements, elements);
  EXPECT_EQ(report.elements, measure_sizes(directory / "model").elements);
}

TEST(SizeReport, MissingDirectoryIsAnError) {
  EXPECT_THROW(measure_sizes("/nonexistent"), Error);
}

}  // namespace
}  // namespace twofold
