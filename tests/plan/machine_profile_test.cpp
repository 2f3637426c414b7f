#include "plan/machine_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "base/cpu.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "expect_error.h"
#include "plan/measure.h"
#include "support/temp_directory.h"

namespace twofold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

MachineProfile example() {
  MachineProfile profile;
  profile.cpu = cpu_name();
  profile.isa = isa_name(active_isa());
  profile.cores = available_cores();
  profile.threads = {1, 4};
  profile.read_bytes_per_second = {10e9, 30e9};
  for (const int threads : profile.threads) {
    profile.codecs.push_back({"raw", threads, {{8, 1e10 * threads}}, {}, 1e-5, 1e-9});
    profile.codecs.push_back(
        {"ans", threads, {{2, 4e9 * threads}, {4, 2e9 * threads}}, {{1000, 1}, {3000, 0.5}}, 2e-5, 2e-9});
  }
  profile.storage_directory = "/data";
  profile.storage = {{65536, 1e9}, {1 << 20, 2e9}};
  profile.seconds = 20;
  return profile;
}

TEST(MachineProfile, InterpolatesTimeOverBitsAndFactorOverColumns) {
  const MachineProfile profile = example();
  const CodecSpeed& ans = profile.codec("ans", 1);
  EXPECT_DOUBLE_EQ(ans.weights_per_second(2, 1000), 4e9);
  EXPECT_DOUBLE_EQ(ans.weights_per_second(4, 500), 2e9);
  EXPECT_NEAR(ans.weights_per_second(3, 1000), 1 / (0.5 / 4e9 + 0.5 / 2e9), 1);
  EXPECT_DOUBLE_EQ(ans.weights_per_second(1, 1000), 4e9);
  EXPECT_DOUBLE_EQ(ans.weights_per_second(7, 1000), 2e9);
  EXPECT_NEAR(ans.weights_per_second(2, 2000), 4e9 * 0.75, 1);
  EXPECT_DOUBLE_EQ(ans.weights_per_second(2, 9000), 2e9);
  EXPECT_EQ(profile.nearest_threads(0), 4);
  EXPECT_EQ(profile.nearest_threads(2), 1);
  EXPECT_EQ(profile.codec("raw", 3).threads, 4);
  EXPECT_DOUBLE_EQ(profile.read_rate(1), 10e9);
  EXPECT_DOUBLE_EQ(profile.storage_rate(), 2e9);
  EXPECT_THAT(error_of([&] { profile.codec("zip", 1); }), AllOf(HasSubstr("\"zip\""), HasSubstr("raw, ans")));
}

TEST(MachineProfile, ComesBackFromItsFileAndReplacesAnother) {
  const TempDirectory directory;
  const auto path = directory / "deep/er/machine.json";
  const MachineProfile profile = example();
  save_profile(profile, path);
  save_profile(profile, path);
  EXPECT_EQ(profile_to_json(load_profile(path)), profile_to_json(profile));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}), 1);

  MachineProfile other = profile;
  other.cpu = "another CPU";
  save_profile(other, path);
  EXPECT_THAT(error_of([&] { load_profile(path); }),
              AllOf(HasSubstr("machine.json"), HasSubstr("another CPU"), HasSubstr("twofold measure")));
  other = profile;
  other.cores += 1;
  save_profile(other, path);
  EXPECT_THAT(error_of([&] { load_profile(path); }), HasSubstr("cores"));
}

TEST(MachineProfile, RefusesWhatIsNone) {
  const auto refuse = [](const std::function<void(Json&)>& change) {
    Json json = profile_to_json(example());
    change(json);
    return error_of([&] { parse_profile(json, "p"); });
  };
  EXPECT_THAT(refuse([](Json& j) { j = Json::array(); }), HasSubstr("p: expected a JSON object"));
  EXPECT_THAT(refuse([](Json& j) { j["twofold_machine"] = 2; }), HasSubstr("twofold_machine"));
  EXPECT_THAT(refuse([](Json& j) { j.erase("cpu"); }), HasSubstr("\"cpu\""));
  EXPECT_THAT(refuse([](Json& j) { j["cores"] = -1; }), HasSubstr("\"cores\""));
  EXPECT_THAT(refuse([](Json& j) { j["memory_read"] = Json::array(); }), HasSubstr("memory_read"));
  EXPECT_THAT(refuse([](Json& j) { j["memory_read"][1]["threads"] = 1; }), HasSubstr("from 2"));
  EXPECT_THAT(refuse([](Json& j) { j["memory_read"][0]["bytes_per_second"] = 0; }),
              HasSubstr("bytes_per_second"));
  EXPECT_THAT(refuse([](Json& j) { j["memory_read"][0]["bytes_per_second"] = 1e300; }), HasSubstr("1e+300"));
  EXPECT_THAT(refuse([](Json& j) { j["codecs"][0]["points"] = Json::array(); }), HasSubstr("points"));
  EXPECT_THAT(refuse([](Json& j) { j["codecs"][1]["points"][0]["weights_per_second"] = "x"; }),
              HasSubstr("weights_per_second"));
  EXPECT_THAT(refuse([](Json& j) { j["codecs"][1]["shapes"][0]["factor"] = -1; }), HasSubstr("factor"));
  EXPECT_THAT(refuse([](Json& j) { j["codecs"].erase(0); }), HasSubstr("raw on 1 threads is missing"));
  EXPECT_THAT(refuse([](Json& j) { j["storage"] = 3; }), HasSubstr("storage"));
  EXPECT_THAT(refuse([](Json& j) {
                for (int i = 0; i < 10001; ++i) j["storage"].push_back(j["storage"][0]);
              }),
              HasSubstr("at most 10000"));
}

TEST(Measure, FindsPlausibleFiguresForEveryCodec) {
  const TempDirectory directory;
  MeasureOptions options = MeasureOptions::quick();
  options.bytes = 1 << 20;
  options.call_weights = 1 << 17;
  options.columns = {1024, 4096};
  options.storage = directory.path();
  options.storage_bytes = 1 << 20;
  double last = 0;
  const MachineProfile profile = measure_machine(options, [&](double done) {
    EXPECT_GE(done, last);
    last = done;
  });
  EXPECT_DOUBLE_EQ(last, 1);
  EXPECT_EQ(profile.codecs.size(), options.codecs.size() * profile.threads.size());
  for (const CodecSpeed& speed : profile.codecs) {
    EXPECT_EQ(speed.points.size(), speed.codec == "raw" ? 1U : 2U);
    EXPECT_EQ(speed.shapes.size(), 2U);
    EXPECT_GT(speed.weights_per_second(3, 4096), 1e6);
  }
  EXPECT_FALSE(profile.storage.empty());
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  // What was measured is a valid profile.
  EXPECT_EQ(profile_to_json(parse_profile(profile_to_json(profile), "p")), profile_to_json(profile));
}

}  // namespace
}  // namespace twofold
