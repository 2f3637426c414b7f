#include "format/container.h"

#include <fstream>

#include "format/fixture.h"
#include "format/shard.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename Map>
std::vector<std::string> keys(const Map& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

Bytes copy_of(std::span<const std::uint8_t> bytes) {
  return {bytes.begin(), bytes.end()};
}

void expect_small_model(const Container& container, const SmallModel& model) {
  EXPECT_THAT(keys(container.coded()), ElementsAre("down.weight", "up.weight", "wide.weight"));
  EXPECT_THAT(keys(container.plain()), ElementsAre("embed.weight", "flags", "norm.weight"));
  const CodedTensor& up = container.coded().at("up.weight");
  EXPECT_EQ(up.name, "up.weight");
  EXPECT_EQ(up.codec->name(), "ans");
  EXPECT_EQ(up.rows, 48);
  EXPECT_EQ(up.cols, 40);
  EXPECT_EQ(up.chunks(), 1);
  EXPECT_EQ(up.scale, model.up_scale);
  EXPECT_TRUE(up.input_scale.empty());
  EXPECT_EQ(up.activation_step, 0);
  EXPECT_EQ(decode(up), model.up);
  const CodedTensor& down = container.coded().at("down.weight");
  EXPECT_EQ(down.codec->name(), "raw");
  EXPECT_EQ(down.scale, std::vector<float>{0.5F});
  EXPECT_EQ(down.input_scale, model.down_input);
  EXPECT_EQ(down.activation_step, 0.125F);
  EXPECT_EQ(decode(down), model.down);
  const CodedTensor& wide = container.coded().at("wide.weight");
  EXPECT_EQ(wide.rows_per_chunk, 1);
  EXPECT_EQ(wide.chunks(), 3);
  EXPECT_EQ(decode(wide), model.wide);
  EXPECT_EQ(copy_of(container.plain().at("norm.weight").bytes), model.norm);
  EXPECT_EQ(container.plain().at("norm.weight").dtype, DType::kBF16);
  EXPECT_EQ(copy_of(container.plain().at("embed.weight").bytes), model.embedding);
  EXPECT_EQ(container.plain().at("embed.weight").shape, (std::vector<std::int64_t>{8, 8}));
  EXPECT_EQ(copy_of(container.plain().at("flags").bytes), model.flags);
  EXPECT_EQ(read_file(container.directory() / "tokenizer.json"), model.tokenizer);
}

TEST(Container, WhatIsWrittenIsReadBack) {
  const TempDirectory directory;
  const SmallModel model;
  model.write(directory / "out");
  EXPECT_TRUE(Container::is_container(directory / "out"));
  const Container container(directory / "out");
  expect_small_model(container, model);
  EXPECT_THAT(keys(container.files()), ElementsAre("model.safetensors", "tokenizer.json"));
  EXPECT_EQ(container.config()["model_type"], "llama");
  EXPECT_EQ(container.config()["hidden_size"], 40);
  EXPECT_EQ(container.recipe()["steps"], Json::array({"quantize"}));
  EXPECT_EQ(container.recipe()["quant_method"], "twofold");
  EXPECT_EQ(container.recipe()["version"], kContainerVersion);
  EXPECT_TRUE(container.recipe()["tool_version"].is_string());
}

TEST(Container, VerifyAcceptsItAndItsProgressAddsUpToTheFiles) {
  const TempDirectory directory;
  SmallModel().write(directory / "out");
  const Container container(directory / "out");
  std::uint64_t expected = 0;
  for (const auto& [name, file] : container.files()) expected += file.bytes;
  for (const int threads : {0, 1, 3}) {
    std::uint64_t done = 0;
    if (threads == 0) {
      container.verify([&](std::uint64_t bytes) { done += bytes; });
    } else {
      ThreadPool pool(threads);
      container.verify([&](std::uint64_t bytes) { done += bytes; }, &pool);
    }
    EXPECT_EQ(done, expected);
  }
}

TEST(Container, IsTheSameForAnyNumberOfThreads) {
  const TempDirectory directory;
  const SmallModel model;
  model.write(directory / "one", UINT64_MAX, 1);
  model.write(directory / "five", UINT64_MAX, 5);
  EXPECT_EQ(bytes_of(directory / "one" / "model.safetensors"),
            bytes_of(directory / "five" / "model.safetensors"));
  EXPECT_EQ(bytes_of(directory / "one" / "config.json"), bytes_of(directory / "five" / "config.json"));
}

TEST(Container, ChunksAndElementsAreAligned) {
  const TempDirectory directory;
  SmallModel().write(directory / "out");
  const Container container(directory / "out");
  for (const auto& [name, tensor] : container.coded()) {
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.chunk_bytes(chunk).data()) % 64, 0U) << name;
    }
  }
  for (const auto& [name, tensor] : container.checkpoint().tensors()) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % dtype_bytes(tensor.dtype), 0U) << name;
  }
}

TEST(Container, DirectGivesTheWeightsOfTheRawCodec) {
  const TempDirectory directory;
  const SmallModel model;
  model.write(directory / "out");
  const Container container(directory / "out");
  const CodedTensor& down = container.coded().at("down.weight");
  ASSERT_NE(down.direct(0), nullptr);
  EXPECT_EQ(Weights(down.direct(0), down.direct(0) + down.chunk_rows(0) * down.cols),
            Weights(model.down.begin(), model.down.begin() + down.chunk_rows(0) * down.cols));
  EXPECT_EQ(container.coded().at("up.weight").direct(0), nullptr);
}

TEST(Container, DecodeChunkChecksTheRoom) {
  const TempDirectory directory;
  SmallModel().write(directory / "out");
  const Container container(directory / "out");
  Weights small(10);
  EXPECT_THAT(
      error_of([&] { container.coded().at("up.weight").decode_chunk(0, small); }),
      AllOf(HasSubstr("model.safetensors: tensor \"up.weight\": chunk 0"), HasSubstr("room for 10 weights")));
}

TEST(Container, ShardsLookTheSameAndStayWithinTheLimit) {
  const TempDirectory directory;
  const SmallModel model;
  const std::uint64_t limit = 4000;
  model.write(directory / "out", limit);
  const Container container(directory / "out");
  expect_small_model(container, model);
  container.verify([](std::uint64_t) {});
  ASSERT_GT(container.checkpoint().files().size(), 2U);
  const std::size_t count = container.checkpoint().files().size();
  std::uint64_t data = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const SafetensorsFile& file = *container.checkpoint().files()[i];
    EXPECT_EQ(fs::path(file.path()).filename(),
              fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, count));
    EXPECT_TRUE(file.bytes() <= limit || file.tensors().size() == 2)
        << file.path();  // one tensor and the index
    data += file.bytes() - file.header().size();
  }
  const Json index = read_json_file(directory / "out" / "model.safetensors.index.json");
  EXPECT_EQ(index["metadata"]["total_size"], data);
  EXPECT_EQ(index["weight_map"].size(), container.checkpoint().tensors().size());
  EXPECT_TRUE(container.files().contains("model.safetensors.index.json"));
}

TEST(Container, AnyOtherDirectoryIsNone) {
  const TempDirectory directory;
  EXPECT_FALSE(Container::is_container(directory.path()));
  EXPECT_FALSE(Container::is_container(directory / "absent"));
  for (const char* config : {"{}", "[]", R"({"quantization_config": 1})", R"({"quantization_config": {}})",
                             R"({"quantization_config": {"quant_method": "gptq"}})",
                             R"({"quantization_config": {"quant_method": 2}})"}) {
    fs::remove(directory / "config.json");
    write_file(directory / "config.json", config);
    EXPECT_FALSE(Container::is_container(directory.path())) << config;
    EXPECT_THAT(error_of([&] { Container container(directory.path()); }),
                AllOf(HasSubstr("config.json: "), HasSubstr("not a Twofold model")))
        << config;
  }
  fs::remove(directory / "config.json");
  write_file(directory / "config.json", "{");
  EXPECT_THAT(error_of([&] { Container::is_container(directory.path()); }), HasSubstr("not valid JSON"));
}

TEST(Container, ANewerVersionIsNamed) {
  const TempDirectory directory;
  SmallModel().write(directory / "out");
  Json config = read_json_file(directory / "out" / "config.json");
  config["quantization_config"]["version"] = 2;
  fs::remove(directory / "out" / "config.json");
  write_file(directory / "out" / "config.json", config.dump());
  EXPECT_THAT(error_of([&] { Container container(directory / "out"); }),
              HasSubstr("written by a newer Twofold (container version 2, this program reads 1)"));
}

TEST(ContainerWriter, PreservesTheConfiguration) {
  const TempDirectory directory;
  const Json config = parse_json(
      R"({"rope_theta": 10000.0, "eps": 1e-05, "big": 18446744073709551615, "none": null, "nested": {"a": [1, -2.5]},
          "text": "\u00e9\"\\", "torch_dtype": "bfloat16", "quantization_config": {"quant_method": "other"}})",
      "test");
  ContainerWriter writer(directory / "out", {"w"}, UINT64_MAX);
  writer.add_plain(view_of("w", DType::kU8, {1}, Bytes(1)));
  writer.commit(config, {{"file", "not \xff UTF-8"}});
  Json written = read_json_file(directory / "out" / "config.json");
  EXPECT_EQ(written["quantization_config"]["quant_method"], "twofold");
  Json expected = config;
  expected.erase("quantization_config");
  written.erase("quantization_config");
  EXPECT_EQ(written, expected);
}

TEST(ContainerWriter, StoresSharedScalesOnce) {
  const TempDirectory directory;
  const std::int64_t cols = 512;
  std::vector<float> shared(static_cast<std::size_t>(cols), 1.5F);
  shared[7] = 0.25F;
  ContainerWriter writer(directory / "out", {"k", "q", "v", "other"}, UINT64_MAX);
  ThreadPool pool(1);
  std::map<std::string, std::uint64_t> stored;
  for (const char* name : {"q", "k", "v", "other"}) {
    CodedTensorParts parts = parts_of(name, 16, cols);
    parts.input_scale = shared;
    if (std::string(name) == "other") parts.input_scale[0] = 1.75F;
    stored[name] = writer.add_coded(parts, random_weights(16 * cols, name[0]), find_codec("raw"), pool);
  }
  writer.commit(Json::object(), Json::object());
  EXPECT_EQ(stored["q"] - stored["k"], 2U * cols + 8);  // the input scales in BF16 and the scale
  EXPECT_EQ(stored["k"], stored["v"]);
  EXPECT_EQ(stored["other"] - stored["v"], 2U * cols);
  const Container container(directory / "out");
  std::uint64_t added = 0;
  std::uint64_t read = 0;
  for (const auto& [name, tensor] : container.coded()) {
    EXPECT_EQ(tensor.input_scale[7], 0.25F);
    added += stored[name];
    read += tensor.stored_bytes;
  }
  EXPECT_EQ(added, read);
  const SafetensorsFile& file = *container.checkpoint().files().front();
  EXPECT_EQ(file.bytes() - file.header().size(), read + 8);  // and the counts of the index
}

TEST(ContainerWriter, CutsMatricesIntoEvenChunks) {
  struct Case {
    std::int64_t rows, cols, rows_per_chunk, chunks;
  };
  const TempDirectory directory;
  int number = 0;
  for (const Case& expected : {Case{256, 256, 256, 1}, Case{768, 256, 256, 3}, Case{300, 256, 160, 2},
                               Case{768, 768, 80, 10}, Case{64, 11008, 5, 13}, Case{2, 65536, 1, 2},
                               Case{1, 1, 1, 1}, Case{2, 100000, 1, 2}, Case{70000, 1, 35008, 2}}) {
    const fs::path out = directory / std::to_string(number++);
    ContainerWriter writer(out, {"w"}, UINT64_MAX);
    ThreadPool pool(2);
    const Weights weights = random_weights(expected.rows * expected.cols, 1);
    writer.add_coded(parts_of("w", expected.rows, expected.cols), weights, find_codec("raw"), pool);
    writer.commit(Json::object(), Json::object());
    const Container container(out);
    const CodedTensor& tensor = container.coded().at("w");
    EXPECT_EQ(tensor.rows_per_chunk, expected.rows_per_chunk) << expected.rows << " x " << expected.cols;
    EXPECT_EQ(tensor.chunks(), expected.chunks) << expected.rows << " x " << expected.cols;
    EXPECT_EQ(decode(tensor), weights);
  }
}

TEST(ContainerWriter, StoresAMatrixOfOneValueWithEveryCodec) {
  for (const Codec* codec : codecs()) {
    const TempDirectory directory;
    ContainerWriter writer(directory / "out", {"w", "x"}, UINT64_MAX);
    ThreadPool pool(1);
    const Weights zeros(512 * 512, 0);
    writer.add_coded(parts_of("w", 512, 512), zeros, *codec, pool);
    writer.add_plain(view_of("x", DType::kU8, {1}, Bytes(1)));
    writer.commit(Json::object(), Json::object());
    const Container container(directory / "out");
    EXPECT_EQ(decode(container.coded().at("w")), zeros) << codec->name();
    EXPECT_NO_THROW(container.verify([](std::uint64_t) {})) << codec->name();
  }
}

TEST(ContainerWriter, ReservesRoomForTheHeaderOfALargeFile) {
  const TempDirectory directory;
  std::vector<std::string> names = {"large"};
  for (int i = 0; i < 200; ++i) names.push_back(fmt::format("model.layers.{}.input_layernorm.weight", i));
  ContainerWriter writer(directory / "out", names, UINT64_MAX);
  ThreadPool pool(2);
  const std::int64_t cols = 4096;
  const std::int64_t rows = static_cast<std::int64_t>(SafetensorsWriter::kHeldBytes) / cols + 1;
  const Weights weights = random_weights(rows * cols, 1);
  writer.add_coded(parts_of("large", rows, cols), weights, find_codec("raw"), pool);
  for (std::size_t i = 1; i < names.size(); ++i)
    writer.add_plain(view_of(names[i], DType::kF32, {1, 1}, Bytes(4)));
  writer.commit(Json::object(), Json::object());
  const Container container(directory / "out");
  EXPECT_EQ(decode(container.coded().at("large")), weights);
  EXPECT_EQ(container.plain().size(), 200U);
  EXPECT_NO_THROW(container.verify([](std::uint64_t) {}, &pool));
}

TEST(ContainerWriter, RefusesWhatCannotBeStored) {
  const TempDirectory directory;
  ContainerWriter writer(directory / "out", {"w", "x"}, UINT64_MAX);
  ThreadPool pool(1);
  const auto error_with = [&](const std::function<void(CodedTensorParts&, Weights&)>& change) {
    const TempDirectory own;
    ContainerWriter fresh(own / "out", {"w"}, UINT64_MAX);
    CodedTensorParts parts = parts_of("w", 4, 8);
    Weights weights = random_weights(32, 1);
    change(parts, weights);
    return error_of([&] { fresh.add_coded(parts, weights, find_codec("raw"), pool); });
  };
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_THAT(error_with([](auto&, auto& weights) { weights[17] = -128; }),
              HasSubstr("tensor \"w\": row 2, column 1: weight -128"));
  EXPECT_THAT(error_with([](auto&, auto& weights) { weights.pop_back(); }),
              HasSubstr("31 weights, expected 4 rows of 8"));
  EXPECT_THAT(error_with([](auto& parts, auto& weights) { parts.rows = 0, weights.clear(); }),
              HasSubstr("tensor \"w\": rows: expected 1 to"));
  EXPECT_THAT(error_with([](auto& parts, auto& weights) { parts.cols = 0, weights.clear(); }),
              HasSubstr("cols: expected 1 to"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.rows = -4; }), HasSubstr("rows"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.rows = std::int64_t{1} << 31; }), HasSubstr("rows"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.cols = (1 << 24) + 1; }),
              HasSubstr("weights in a chunk"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.scale.clear(); }),
              HasSubstr("scale: expected 1 or 4 numbers, found 0"));
  EXPECT_THAT(error_with([](auto& parts, auto&) {
                parts.scale = {1, 1, 1};
              }),
              HasSubstr("scale: expected 1 or 4 numbers"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.scale = {0}; }),
              HasSubstr("scale: expected finite numbers > 0"));
  EXPECT_THAT(error_with([=](auto& parts, auto&) { parts.scale = {infinity}; }),
              HasSubstr("scale: expected finite"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.scale = {std::nanf("")}; }),
              HasSubstr("scale: expected finite"));
  EXPECT_THAT(error_with([](auto& parts, auto&) {
                parts.input_scale = {1, 1};
              }),
              HasSubstr("input_scale: expected 0 or 8"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.input_scale.assign(8, -1.0F); }),
              HasSubstr("input_scale: expected finite"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.activation_step = -1; }),
              HasSubstr("activation_step"));
  EXPECT_THAT(error_with([](auto& parts, auto&) { parts.activation_step = std::nanf(""); }),
              HasSubstr("activation_step"));

  const Weights weights = random_weights(32, 1);
  EXPECT_THAT(error_of([&] { writer.commit(Json::object(), Json::object()); }),
              HasSubstr("announced but not added"));
  writer.add_coded(parts_of("w", 4, 8), weights, find_codec("raw"), pool);
  EXPECT_THAT(error_of([&] { writer.add_coded(parts_of("w", 4, 8), weights, find_codec("raw"), pool); }),
              HasSubstr("added twice"));
  EXPECT_THAT(error_of([&] { writer.add_plain(view_of("y", DType::kU8, {0}, {})); }), HasSubstr("announced"));
  EXPECT_THAT(error_of([&] { ContainerWriter other(directory / "a", {"w.twofold"}, 1); }),
              HasSubstr("reserved"));
  EXPECT_THAT(error_of([&] { ContainerWriter other(directory / "a", {"twofold.index.1"}, 1); }),
              HasSubstr("reserved"));
  EXPECT_THAT(error_of([&] {
                ContainerWriter other(directory / "a", {"w", "w"}, 1);
              }),
              HasSubstr("appears twice"));
  EXPECT_THAT(error_of([&] {
                ContainerWriter other(directory / "a", {}, 1);
                other.commit(Json::object(), Json::object());
              }),
              HasSubstr("no tensors were added"));
}

TEST(ContainerWriter, CopiesFilesButNotOverItsOwn) {
  const TempDirectory sources;
  const TempDirectory directory;
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json", "vocab.txt"}) {
    write_file(sources / name, "");
  }
  ContainerWriter writer(directory / "out", {"w"}, UINT64_MAX);
  writer.copy_file(sources / "vocab.txt");
  for (const char* name : {"config.json", "model.safetensors", "model.safetensors.index.json", "vocab.txt"}) {
    EXPECT_THAT(error_of([&] { writer.copy_file(sources / name); }),
                HasSubstr("has a file of this name already"))
        << name;
  }
  EXPECT_THAT(error_of([&] { writer.copy_file(sources / "absent"); }), HasSubstr("cannot open"));
  for (const char* name : {"config.json", "model.safetensors", "vocab.txt", "../x", ""}) {
    EXPECT_THAT(error_of([&] { writer.add_file(name, "text"); }), HasSubstr("reserved or used")) << name;
  }
}

/// Many small tensors are where a format's own cost shows.
TEST(ContainerWriter, CostsLittleBesideTheCodedBytesOfASmallModel) {
  const TempDirectory directory;
  struct Matrix {
    const char* name;
    std::int64_t rows, cols;
  };
  std::vector<std::string> names;
  std::vector<std::pair<std::string, Matrix>> matrices;
  for (int layer = 0; layer < 8; ++layer) {
    for (const Matrix& matrix : {Matrix{"self_attn.q_proj", 256, 256}, Matrix{"self_attn.k_proj", 128, 256},
                                 Matrix{"self_attn.v_proj", 128, 256}, Matrix{"self_attn.o_proj", 256, 256},
                                 Matrix{"mlp.gate_proj", 768, 256}, Matrix{"mlp.up_proj", 768, 256},
                                 Matrix{"mlp.down_proj", 256, 768}}) {
      names.push_back(fmt::format("model.layers.{}.{}.weight", layer, matrix.name));
      matrices.emplace_back(names.back(), matrix);
    }
  }
  ContainerWriter writer(directory / "out", names, UINT64_MAX);
  ThreadPool pool(2);
  for (const auto& [name, matrix] : matrices) {
    const Weights weights = random_weights(matrix.rows * matrix.cols, xxh3(as_bytes(name)));
    writer.add_coded(parts_of(name, matrix.rows, matrix.cols), weights, find_codec("ans"), pool);
  }
  writer.commit(Json::object(), Json::object());
  const Container container(directory / "out");
  std::uint64_t coded = 0;
  std::uint64_t padding = 0;
  std::uint64_t stored = 0;
  std::uint64_t weights = 0;
  for (const auto& [name, tensor] : container.coded()) {
    std::uint64_t bytes = 0;
    for (std::int64_t chunk = 0; chunk < tensor.chunks(); ++chunk) bytes += tensor.chunk_bytes(chunk).size();
    coded += bytes;
    padding += tensor.data.size() - bytes;
    stored += tensor.stored_bytes;
    weights += static_cast<std::uint64_t>(tensor.rows * tensor.cols);
  }
  const SafetensorsFile& file = *container.checkpoint().files().front();
  const double overhead = static_cast<double>(file.bytes() - coded) / static_cast<double>(coded);
  const std::string figures = fmt::format(
      "{} weights, {} coded bytes ({:.2f} bits), padding {}, index and tables {}, header {}: {:.3f} % over",
      weights, coded, 8.0 * static_cast<double>(coded) / static_cast<double>(weights), padding,
      stored - coded - padding, file.header().size(), 100 * overhead);
  RecordProperty("figures", figures);
  EXPECT_LT(overhead, 0.01) << figures;
}

}  // namespace
}  // namespace twofold
