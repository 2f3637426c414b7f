#include "plan/model_timing.h"

#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "compress/compress.h"
#include "plan/measure.h"
#include "support/tiny_model.h"

namespace twofold {
namespace {

TEST(ModelTiming, EveryProductHasAFactorForEveryCodec) {
  const TempDirectory directory;
  testing::TinyModel().write(directory / "model");
  CompressOptions options;
  options.source = directory / "model";
  options.destination = directory / "coded";
  options.calibration.tokens = 32;
  compress_model(options);
  MeasureOptions quick = MeasureOptions::quick();
  quick.codecs = {"raw", "packed", "ans"};
  const MachineProfile machine = measure_machine(quick, [](double) {});
  ThreadPool pool(1);
  ModelCosts model = load_model_costs(directory / "coded", quick.codecs, pool, [](double) {});
  double last = 0;
  time_model(model, machine, 1, [&](double done) {
    EXPECT_GE(done, last);
    last = done;
  });
  EXPECT_EQ(last, 1);
  for (const TensorCost& tensor : model.tensors) {
    if (tensor.lookup) {
      EXPECT_TRUE(tensor.time_factor.empty()) << tensor.name;
      continue;
    }
    ASSERT_EQ(tensor.time_factor.size(), 3U) << tensor.name;
    for (const double factor : tensor.time_factor) {
      EXPECT_GT(factor, 0) << tensor.name;
      EXPECT_LT(factor, 1e4) << tensor.name;
    }
  }
}

}  // namespace
}  // namespace twofold
