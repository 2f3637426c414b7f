#include "format/editable_shard.h"

namespace twofold {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// The coded tensors of SmallModel in the order of the index.
constexpr std::size_t kDown = 0;
constexpr std::size_t kUp = 1;
constexpr std::size_t kWide = 2;

struct Case {
  std::string expected;  // in the message, beside the file's name
  std::function<void(EditableShard&)> change;
  std::string file = "model.safetensors";
};

Case record_case(std::size_t position, const std::string& field, std::function<void(StoredRecord&)> change) {
  const char* name = position == kDown ? "down.weight" : position == kUp ? "up.weight" : "wide.weight";
  return {fmt::format("tensor \"{}\": {}: ", name, field),
          [=](EditableShard& shard) { shard.change_record(position, change); }};
}

/// Overwrites a number of the part at `position` of the index.
template <typename T>
void poke(EditableShard& shard, std::uint32_t position, std::size_t element, T value) {
  std::memcpy(shard.index().data() + 8 * std::size_t{position} + element * sizeof(T), &value, sizeof(T));
}

void expect_errors(const std::vector<Case>& cases) {
  const TempDirectory directory;
  SmallModel().write(directory / "valid");
  for (const Case& hostile : cases) {
    const fs::path copy = directory / "copy";
    fs::copy(directory / "valid", copy);
    EditableShard shard(copy);
    hostile.change(shard);
    shard.store(copy);
    const std::string message = error_of([&] { verify(copy); });
    EXPECT_THAT(message, HasSubstr((copy / hostile.file).string())) << hostile.expected;
    EXPECT_THAT(message, HasSubstr(hostile.expected));
    fs::remove_all(copy);
  }
}

TEST(HostileContainer, TheEditorAloneChangesNothing) {
  const TempDirectory directory;
  SmallModel().write(directory / "out");
  EditableShard(directory / "out").store(directory / "out");
  EXPECT_NO_THROW(verify(directory / "out"));
}

TEST(HostileContainer, RecordsAreChecked) {
  const float nan = std::nanf("");
  expect_errors({
      record_case(kUp, "rows", [](StoredRecord& record) { record.rows = 0; }),
      record_case(kUp, "rows", [](StoredRecord& record) { record.rows = UINT32_MAX; }),
      record_case(kUp, "cols", [](StoredRecord& record) { record.cols = 0; }),
      record_case(kUp, "cols", [](StoredRecord& record) { record.cols = 0x80000000; }),
      record_case(kUp, "rows_per_chunk", [](StoredRecord& record) { record.rows_per_chunk = 0; }),
      record_case(kUp, "rows_per_chunk", [](StoredRecord& record) { record.rows_per_chunk = 49; }),
      record_case(kUp, "rows_per_chunk", [](StoredRecord& record) { record.cols = INT32_MAX; }),
      record_case(kUp, "codec", [](StoredRecord& record) { record.codec = 2; }),
      record_case(kUp, "flags", [](StoredRecord& record) { record.flags |= 16; }),
      record_case(kUp, "flags", [](StoredRecord& record) { record.flags |= kInputScaleBf16; }),
      record_case(kUp, "activation_step", [](StoredRecord& record) { record.activation_step = -1; }),
      record_case(kUp, "activation_step", [=](StoredRecord& record) { record.activation_step = nan; }),
      record_case(kUp, "table", [](StoredRecord& record) { record.table_bytes = UINT32_MAX; }),
      record_case(kUp, "table", [](StoredRecord& record) { record.table = UINT32_MAX; }),
      record_case(kUp, "table", [](StoredRecord& record) { record.table_bytes = 0; }),
      record_case(kUp, "chunks", [](StoredRecord& record) { record.chunks = UINT32_MAX; }),
      record_case(
          kUp, "chunks",
          [](StoredRecord& record) { record.rows_per_chunk = 1, record.rows = INT32_MAX, record.flags = 0; }),
      record_case(kUp, "scale", [](StoredRecord& record) { record.scale = UINT32_MAX; }),
      record_case(kUp, "scale", [](StoredRecord& record) { record.rows = INT32_MAX; }),
      record_case(kUp, "input_scale", [](StoredRecord& record) { record.input_scale = 1; }),
      record_case(kDown, "input_scale",
                  [](StoredRecord& record) { record.flags &= ~(kInputScale | kInputScaleBf16); }),
      record_case(kDown, "input_scale", [](StoredRecord& record) { record.input_scale = UINT32_MAX; }),
      record_case(kDown, "table",
                  [](StoredRecord& record) {
                    record.table_bytes = 4;
                    record.table = 1;
                  }),
      record_case(kDown, "table", [](StoredRecord& record) { record.table = 1; }),
  });
}

TEST(HostileContainer, PartsAreChecked) {
  std::vector<Case> cases;
  for (const float value : {0.0F, -1.0F, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    cases.push_back({"tensor \"up.weight\": scale: expected finite numbers > 0",
                     [=](EditableShard& shard) { poke(shard, shard.record(kUp).scale, 47, value); }});
    cases.push_back(
        {"tensor \"down.weight\": input_scale: expected finite numbers > 0", [=](EditableShard& shard) {
           poke(shard, shard.record(kDown).input_scale, 5, float_to_bf16(value));
         }});
  }
  cases.push_back({"tensor \"up.weight.twofold\": \"shape\": ", [](EditableShard& shard) {
                     poke<std::uint32_t>(shard, shard.record(kUp).chunks, 2, UINT32_MAX);
                   }});
  cases.push_back({"tensor \"up.weight.twofold\": \"shape\": ",
                   [](EditableShard& shard) { poke<std::uint32_t>(shard, shard.record(kUp).chunks, 2, 1); }});
  cases.push_back({"tensor \"wide.weight\": chunk 2: checksum ", [](EditableShard& shard) {
                     poke<std::uint64_t>(shard, shard.record(kWide).chunks, 2, 0);
                   }});
  cases.push_back({"tensor \"down.weight\": chunk 0: the padding behind it is not zero",
                   [](EditableShard& shard) { shard.at("down.weight.twofold").bytes.back() = 1; }});
  cases.push_back({"tensor \"down.weight\": chunk 0: has a weight of -128", [](EditableShard& shard) {
                     Bytes& data = shard.at("down.weight.twofold").bytes;
                     data[0] = 0x80;
                     poke(shard, shard.record(kDown).chunks, 0, xxh3(std::span(data).first(40 * 49)));
                   }});
  cases.push_back({"tensor \"up.weight\": table: ", [](EditableShard& shard) {
                     const StoredRecord record = shard.record(kUp);
                     std::memset(shard.index().data() + 8 * record.table, 0xff, record.table_bytes);
                   }});
  expect_errors(cases);
}

TEST(HostileContainer, TheIndexIsChecked) {
  const auto count_case = [](std::size_t field, std::uint32_t value, const std::string& message) {
    return Case{message,
                [=](EditableShard& shard) { std::memcpy(shard.index().data() + 4 * field, &value, 4); }};
  };
  const auto cut_case = [](std::size_t bytes) {
    return Case{fmt::format("index: {} bytes, expected at least ", bytes), [=](EditableShard& shard) {
                  shard.index().resize(bytes);
                  shard.at("twofold.index.1").shape = {static_cast<std::int64_t>(bytes)};
                }};
  };
  expect_errors({
      count_case(0, 2, "index: 2 coded tensors, but the file has 3"),
      count_case(0, UINT32_MAX, "index: 4294967295 coded tensors, but the file has 3"),
      count_case(1, 0, "index: 0 plain tensors, but the file has 3"),
      cut_case(0),
      cut_case(7),
      cut_case(8),
      cut_case(8 + 3 * 40 + 3 * 8 - 1),
      {"tensor \"twofold.index.1\": checksum ",
       [](EditableShard& shard) { shard.sign_index = false, ++shard.index()[20]; }},
      {"tensor \"norm.weight\": checksum ", [](EditableShard& shard) { ++shard.at("norm.weight").bytes[0]; }},
  });
}

TEST(HostileContainer, MetadataIsChecked) {
  const auto metadata_case = [](const std::string& expected, std::function<void(Json&)> change) {
    return Case{"\"__metadata__\": twofold: " + expected,
                [=](EditableShard& shard) { shard.change_metadata(change), shard.sign_index = false; }};
  };
  expect_errors({
      {"\"__metadata__\": missing field \"twofold\"",
       [](EditableShard& shard) { shard.metadata.erase(kShardMetadata), shard.sign_index = false; }},
      {"\"__metadata__\": twofold: not valid JSON",
       [](EditableShard& shard) { shard.metadata[kShardMetadata] = "{", shard.sign_index = false; }},
      {"\"__metadata__\": twofold: expected a JSON object",
       [](EditableShard& shard) { shard.metadata[kShardMetadata] = "[]", shard.sign_index = false; }},
      metadata_case("written by a newer Twofold (container version 2, this program reads 1)",
                    [](Json& json) { json["version"] = 2; }),
      metadata_case("missing field \"version\"", [](Json& json) { json.erase("version"); }),
      metadata_case("\"version\": expected an integer", [](Json& json) { json["version"] = "1"; }),
      metadata_case("\"version\": expected an integer", [](Json& json) { json["version"] = 0; }),
      metadata_case("\"index\": no tensor \"absent\"", [](Json& json) { json["index"] = "absent"; }),
      metadata_case("\"index\": no tensor \"flags\"", [](Json& json) { json["index"] = "flags"; }),
      metadata_case("missing field \"index\"", [](Json& json) { json.erase("index"); }),
      metadata_case("\"index_xxh3\": expected 16 hexadecimal digits",
                    [](Json& json) { json["index_xxh3"] = "123"; }),
      metadata_case("\"index_xxh3\": expected 16 hexadecimal digits",
                    [](Json& json) { json["index_xxh3"] = "+00000000000000a"; }),
      metadata_case("\"index_xxh3\": expected 16 hexadecimal digits",
                    [](Json& json) { json["index_xxh3"] = "000000000000000A"; }),
      metadata_case("missing field \"codecs\"", [](Json& json) { json.erase("codecs"); }),
      metadata_case("\"codecs\": expected an array", [](Json& json) { json["codecs"] = "raw"; }),
      metadata_case("\"codecs\": expected names",
                    [](Json& json) {
                      json["codecs"] = {1, 2};
                    }),
      metadata_case("\"codecs\": ",
                    [](Json& json) {
                      json["codecs"] = {"ans", "unheard-of"};
                    }),
  });
}

TEST(HostileContainer, TensorsAreChecked) {
  expect_errors({
      {"tensor \"up.weight.twofold\": expected one dimension of U8",
       [](EditableShard& shard) { shard.at("up.weight.twofold").dtype = DType::kI8; }},
      {"tensor \"up.weight.twofold\": expected one dimension of U8",
       [](EditableShard& shard) { shard.at("up.weight.twofold").shape.push_back(1); }},
      {"tensor \"twofold.index.1\": expected one dimension of U8",
       [](EditableShard& shard) { shard.at("twofold.index.1").dtype = DType::kI8; }},
      {"tensor \"twofold.index.1\": expected one dimension of U8",
       [](EditableShard& shard) { shard.at("twofold.index.1").shape.push_back(1); }},
      {"index: 3 coded tensors, but the file has 2",
       [](EditableShard& shard) {
         std::erase_if(shard.tensors, [](auto& item) { return item.first == "up.weight.twofold"; });
       }},
      {"index: 3 plain tensors, but the file has 4",
       [](EditableShard& shard) {
         shard.tensors.emplace_back("more", EditableShard::Tensor{DType::kU8, {0}, {}});
       }},
      {"tensor \"up.weight.twofold\": there must be a weight's name",
       [](EditableShard& shard) {
         shard.tensors.emplace_back("up.weight", EditableShard::Tensor{DType::kU8, {0}, {}});
       }},
      {"tensor \".twofold\": there must be a weight's name",
       [](EditableShard& shard) {
         shard.tensors.emplace_back(".twofold", EditableShard::Tensor{DType::kU8, {0}, {}});
       }},
      {"\"data_offsets\": expected to begin at a multiple of 64 bytes",
       [](EditableShard& shard) {
         std::rotate(shard.tensors.begin(), shard.tensors.end() - 1, shard.tensors.end());
       }},
  });
}

TEST(HostileContainer, TheListOfFilesIsChecked) {
  std::vector<Case> cases = {
      {"missing field \"files\"",
       [](EditableShard& shard) {
         shard.config["quantization_config"].erase("files"), shard.sign_config = false;
       }},
      {"\"files\": missing field \"model.safetensors\"",
       [](EditableShard& shard) { shard.files().erase("model.safetensors"), shard.sign_config = false; }},
      {"\"files\": expected an object",
       [](EditableShard& shard) {
         shard.config["quantization_config"]["files"] = 1, shard.sign_config = false;
       }},
      {"\"files\": expected names of files in the same directory, found \"../tokenizer.json\"",
       [](EditableShard& shard) { shard.files()["../tokenizer.json"] = shard.files()["tokenizer.json"]; }},
      {"\"tokenizer.json\": missing field \"bytes\"",
       [](EditableShard& shard) { shard.files()["tokenizer.json"].erase("bytes"); }},
      {"\"tokenizer.json\": \"bytes\": expected an integer",
       [](EditableShard& shard) { shard.files()["tokenizer.json"]["bytes"] = -1; }},
      {"\"tokenizer.json\": missing field \"xxh3\"",
       [](EditableShard& shard) { shard.files()["tokenizer.json"].erase("xxh3"); }},
      {"\"tokenizer.json\": expected a JSON object",
       [](EditableShard& shard) { shard.files()["tokenizer.json"] = 1; }},
      {"\"version\": expected an integer",
       [](EditableShard& shard) { shard.config["quantization_config"]["version"] = "1"; }},
  };
  for (Case& hostile : cases) hostile.file = "config.json";
  cases.push_back({"tokenizer.json: file has 14 bytes, expected 15 from config.json",
                   [](EditableShard& shard) { shard.files()["tokenizer.json"]["bytes"] = 15; },
                   "tokenizer.json"});
  cases.push_back({"tokenizer.json: checksum ",
                   [](EditableShard& shard) { shard.files()["tokenizer.json"]["xxh3"] = hex64(1); },
                   "tokenizer.json"});
  cases.push_back(
      {"absent.txt: cannot open",
       [](EditableShard& shard) { shard.files()["absent.txt"] = shard.files()["tokenizer.json"]; },
       "absent.txt"});
  cases.push_back({"file has ", [](EditableShard& shard) {
                     shard.files()["model.safetensors"]["bytes"] = 5;
                     shard.sign_config = false;
                   }});
  expect_errors(cases);
}

TEST(HostileContainer, AWeightInTwoShardsIsAnError) {
  const TempDirectory directory;
  const fs::path out = directory / "out";
  SmallModel().write(out, 4000);
  // The shard that holds "down.weight" gets a plain "up.weight", which another shard has coded.
  const Json list = read_json_file(out / "model.safetensors.index.json");
  const std::string name = list["weight_map"]["down.weight.twofold"];
  fs::create_directory(directory / "one");
  fs::rename(out / name, directory / "one" / "model.safetensors");
  fs::copy(out / "config.json", directory / "one" / "config.json");
  EditableShard shard(directory / "one");
  const std::string index = parse_json(shard.metadata.at(kShardMetadata), "test")["index"];
  Bytes& records = shard.at(index).bytes;
  // One more checksum, between the records and the parts, which move by 8 bytes.
  std::uint32_t counts[2];
  std::memcpy(counts, records.data(), 8);
  const std::size_t end = 8 + counts[0] * sizeof(StoredRecord) + counts[1] * 8;
  for (std::uint32_t i = 0; i < counts[0]; ++i) {
    StoredRecord record;
    std::memcpy(&record, records.data() + 8 + i * sizeof record, sizeof record);
    for (std::uint32_t* position : {&record.chunks, &record.table, &record.scale, &record.input_scale}) {
      if (*position != 0) ++*position;
    }
    std::memcpy(records.data() + 8 + i * sizeof record, &record, sizeof record);
  }
  ++counts[1];
  std::memcpy(records.data(), counts, 8);
  records.insert(records.begin() + static_cast<std::ptrdiff_t>(end), 8, 0);
  shard.at(index).shape = {static_cast<std::int64_t>(records.size())};
  shard.tensors.emplace_back("up.weight", EditableShard::Tensor{DType::kU8, {0}, {}});
  shard.change_metadata([&](Json& json) { json["index_xxh3"] = hex64(xxh3(records)); });
  shard.sign_index = false;
  shard.store(directory / "one");
  fs::rename(directory / "one" / "model.safetensors", out / name);
  Json config = read_json_file(out / "config.json");
  config["quantization_config"]["files"][name] = shard.files()["model.safetensors"];
  replace_file(out / "config.json", copy_bytes(config.dump()));
  EXPECT_THAT(error_of([&] { Container container(out); }),
              HasSubstr("tensor \"up.weight\": another file has it too"));
}

TEST(HostileContainer, AShardListThatIsNotListedIsAnError) {
  const TempDirectory directory;
  SmallModel().write(directory / "out", 4000);
  Json config = read_json_file(directory / "out" / "config.json");
  config["quantization_config"]["files"].erase("model.safetensors.index.json");
  replace_file(directory / "out" / "config.json", copy_bytes(config.dump()));
  EXPECT_THAT(error_of([&] { Container container(directory / "out"); }),
              HasSubstr("\"files\": missing field \"model.safetensors.index.json\""));
}

TEST(ShardIndex, PartsSharedBeyondMeasureAreAnError) {
  // Each record asks for its own copy of the same scales: 370 MB from an index of 0.3 MB.
  ShardIndexBuilder builder;
  CodedRecord record;
  record.rows = 1 << 16;
  record.cols = 1;
  record.rows_per_chunk = record.rows;
  record.scale.assign(1 << 16, 1.1F);
  record.chunks = {{1, 0}};
  builder.add_coded("w", record);
  const Bytes once = builder.build();
  StoredRecord stored;
  std::memcpy(&stored, once.data() + 8, sizeof stored);
  const std::uint32_t count = 1400;
  for (std::uint32_t* position : {&stored.chunks, &stored.scale})
    *position += (count - 1) * sizeof stored / 8;
  Bytes index(8 + count * sizeof stored);
  std::memcpy(index.data(), &count, sizeof count);
  for (std::uint32_t i = 0; i < count; ++i)
    std::memcpy(index.data() + 8 + i * sizeof stored, &stored, sizeof stored);
  index.insert(index.end(), once.begin() + 8 + sizeof stored, once.end());
  const std::vector<std::string> names(count, "w");
  EXPECT_THAT(error_of([&] { parse_shard_index(index, names, {}, 1, "file"); }),
              HasSubstr("share parts too often"));
  // The same with few records is fine.
  const std::uint32_t few = 10;
  std::memcpy(index.data(), &few, sizeof few);
  EXPECT_EQ(parse_shard_index(index, std::vector<std::string>(few, "w"), {}, 1, "file").coded[9].scale,
            record.scale);
}

}  // namespace
}  // namespace twofold
