#pragma once

#include <CLI/CLI.hpp>

namespace twofold {

/// Each subcommand adds itself, its flags and what it does to the program.
void add_compress_command(CLI::App& app);
void add_run_command(CLI::App& app);
void add_chat_command(CLI::App& app);  // not built with TWOFOLD_CHAT=OFF
void add_eval_command(CLI::App& app);
void add_inspect_command(CLI::App& app);
void add_verify_command(CLI::App& app);
void add_synth_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_transcode_command(CLI::App& app);
void add_measure_command(CLI::App& app);
void add_plan_command(CLI::App& app);
void add_tokenize_command(CLI::App& app);
void add_detokenize_command(CLI::App& app);

/// `eval cloze`, `eval choice` and `eval extract`.
void add_task_eval(CLI::App& eval);
/// What `bench` does without a subcommand of its own.
void add_model_bench(CLI::App& bench);
/// `bench kernels`.
void add_kernel_bench(CLI::App& bench);

}  // namespace twofold
