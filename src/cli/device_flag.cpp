#include "cli/device_flag.h"

#include "base/error.h"
#include "kernels/cuda/device.h"

namespace twofold {

void add_device_flag(CLI::App& command, std::string& device) {
  command
      .add_option("--device", device, "cpu, or cuda: the first NVIDIA GPU, for models of the Llama family")
      ->capture_default_str()
      ->check(CLI::IsMember({"cpu", "cuda"}));
}

void check_gpu_device(const MemoryFlags& memory) {
  if (memory.given()) throw UsageError("--memory: expected --device cpu with it");
  if (const std::string reason = why_no_gpu(); !reason.empty()) fail("--device cuda: {}", reason);
}

}  // namespace twofold
