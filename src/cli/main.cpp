#include <fmt/core.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "base/cpu.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/version.h"
#include "cli/command.h"

namespace {

constexpr int kFailure = 1;
constexpr int kUsage = 2;
constexpr int kInterruptedCode = 130;  // as a shell reports SIGINT

int run(int argc, char** argv) {
  CLI::App app{"Twofold: language models made small twice, and run from the small form.", "twofold"};
  app.set_version_flag(
      "--version", fmt::format("twofold {} ({})", TWOFOLD_VERSION, twofold::isa_name(twofold::active_isa())));
  app.require_subcommand(1);
  twofold::add_compress_command(app);
  twofold::add_run_command(app);
#ifdef TWOFOLD_CHAT
  twofold::add_chat_command(app);
#endif
  twofold::add_eval_command(app);
  twofold::add_inspect_command(app);
  twofold::add_verify_command(app);
  twofold::add_synth_command(app);
  twofold::add_bench_command(app);
  twofold::add_transcode_command(app);
  twofold::add_measure_command(app);
  twofold::add_plan_command(app);
  twofold::add_tokenize_command(app);
  twofold::add_detokenize_command(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    return app.exit(help);
  } catch (const CLI::CallForVersion& version) {
    return app.exit(version);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "twofold: {}\nRun with --help for more information.\n", error.what());
    return kUsage;
  }
  if (std::fflush(stdout) != 0) twofold::fail("standard output: cannot write");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error, and unwinds
  std::signal(SIGXFSZ, SIG_IGN);  // and so is a file-size limit
  twofold::catch_interrupts();
  try {
    return run(argc, argv);
  } catch (const twofold::Interrupted& error) {
    fmt::print(stderr, "twofold: {}\n", error.what());
    return kInterruptedCode;
  } catch (const twofold::UsageError& error) {
    fmt::print(stderr, "twofold: {}\n", error.what());
    return kUsage;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "twofold: out of memory\n");
    return kFailure;
  } catch (const std::exception& error) {
    fmt::print(stderr, "twofold: {}\n", error.what());
    return kFailure;
  }
}
