#include <fmt/core.h>

#include <memory>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "format/container.h"

namespace twofold {

void add_verify_command(CLI::App& app) {
  auto model = std::make_shared<std::string>();
  CLI::App* command =
      app.add_subcommand("verify", "Check every checksum of a Twofold directory and decode every chunk");
  command->add_option("DIR", *model, "Twofold directory")->required();
  command->callback([model] {
    if (!Container::is_container(*model))
      fail("{}: not a Twofold directory: config.json names no such quantization", *model);
    const Container container(*model);
    std::uint64_t total = 0;
    for (const auto& [name, file] : container.files()) total += file.bytes;
    Progress progress("Verifying", total);
    ThreadPool pool;
    container.verify(
        [&](std::uint64_t bytes) {
          check_interrupt();
          progress.advance(bytes);
        },
        &pool);
    std::int64_t chunks = 0;
    for (const auto& [name, tensor] : container.coded()) chunks += tensor.chunks();
    fmt::print("{}: ok: {} coded tensors in {} chunks, {} plain tensors\n", *model, container.coded().size(),
               chunks, container.plain().size());
  });
}

}  // namespace twofold
