#include <fmt/core.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/table.h"
#include "plan/measure.h"

namespace twofold {

namespace {

struct Flags {
  std::filesystem::path storage;
  std::filesystem::path profile;
  bool force = false;
  bool quick = false;
  bool json = false;
};

void print_text(const MachineProfile& profile, const std::filesystem::path& path) {
  fmt::print("{}, {}, {} cores; measured in {}\n{}\n\nmemory read", profile.cpu, profile.isa, profile.cores,
             format_duration(profile.seconds), path.string());
  for (std::size_t i = 0; i < profile.threads.size(); ++i) {
    fmt::print("{} {:.2f} GB/s on {}", i > 0 ? "," : "", profile.read_bytes_per_second[i] / 1e9,
               profile.threads[i]);
  }
  fmt::print(" threads\n");
  if (!profile.storage.empty()) {
    fmt::print("storage {}:", profile.storage_directory);
    for (const StorageSpeed& speed : profile.storage) {
      fmt::print("{} {:.2f} GB/s by {} KiB", &speed == profile.storage.data() ? "" : ",",
                 speed.bytes_per_second / 1e9, speed.request_bytes >> 10);
    }
    fmt::print("\n");
  }
  Table table({"codec", "threads", "weights GB/s at bits/w", "call us"});
  for (const CodecSpeed& speed : profile.codecs) {
    std::string rates;
    for (const auto& point : speed.points) {
      rates += fmt::format("{}{:.2f} at {:.2f}", rates.empty() ? "" : ", ", point.weights_per_second / 1e9,
                           point.bits_per_weight);
    }
    table.add({speed.codec, fmt::format("{}", speed.threads), rates,
               fmt::format("{:.1f}", 1e6 * (speed.call_seconds + 4096 * speed.channel_seconds))});
  }
  fmt::print("\n{}", table.text());
}

void measure(const Flags& flags) {
  const std::filesystem::path path = flags.profile.empty() ? default_profile_path() : flags.profile;
  MachineProfile profile;
  bool usable = false;
  if (!flags.force && std::filesystem::exists(path)) {
    try {
      profile = load_profile(path);
      // Storage that was not asked for before is a reason to measure.
      usable = flags.storage.empty() || profile.storage_directory == flags.storage.string();
    } catch (const Error&) {
      usable = false;
    }
  }
  if (!usable) {
    MeasureOptions options = flags.quick ? MeasureOptions::quick() : MeasureOptions{};
    options.storage = flags.storage;
    Progress bar("Measuring", 1000);
    std::uint64_t shown = 0;
    profile = measure_machine(options, [&](double done) {
      const auto now = static_cast<std::uint64_t>(1000 * done);
      bar.advance(now - shown);
      shown = now;
    });
    save_profile(profile, path);
  }
  if (flags.json) {
    fmt::print("{}\n", profile_to_json(profile).dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    print_text(profile, path);
  }
}

}  // namespace

void add_measure_command(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand("measure", "Measure this machine for `plan`, and keep the result");
  command->add_option("--storage", flags->storage,
                      "Also measure reading from the storage that holds this directory");
  command->add_flag("--force", flags->force, "Measure again, though there is a result");
  command->add_option("--profile", flags->profile, "File to keep it in, in place of the cache directory");
  command->add_flag("--quick", flags->quick, "Small and rough, in a second or two");
  command->add_flag("--json", flags->json, "Print as JSON");
  command->callback([flags] { measure(*flags); });
}

}  // namespace twofold
