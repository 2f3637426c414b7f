// The threads of a block as contexts on the CPU that take turns wherever they wait for each other.

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <vector>

#include "cuda_runtime_api.h"
#include "gpu_language.h"

#if defined(__SANITIZE_ADDRESS__)
#define TWOFOLD_ASAN
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TWOFOLD_ASAN
#endif
#endif
#if defined(TWOFOLD_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

EmulatedDim threadIdx, blockIdx, blockDim, gridDim;

namespace emulated_gpu {

namespace {

constexpr std::size_t kStackBytes = 128 << 10;
constexpr unsigned kLanes = 32;

struct Copy {
  void* to;
  const void* from;
  unsigned bytes, zeros;
};

/// A stack that runs one block's thread after the other.
struct Thread {
  ucontext_t context;
  jmp_buf at;  // where it waits, once it has begun
  bool begun = false;
  std::unique_ptr<std::uint8_t[]> stack;
  bool done = false;
  std::deque<std::vector<Copy>> copies;  // the last group is open
};

struct Warp {
  Value values[2][kLanes];
  unsigned arrived = 0;
  unsigned generation = 0;
  int kind = 0;
};

std::deque<Thread> threads;  // where they are, they stay
std::vector<Warp> warps;
unsigned current = 0;
unsigned running = 0;  // threads that are not done
unsigned block_arrived = 0;
unsigned block_generation = 0;
bool progress = false;
const std::function<void()>* body = nullptr;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "emulated GPU: block %u, thread %u: %s\n", blockIdx.x, current, why);
  std::abort();
}

#if defined(TWOFOLD_ASAN)
ucontext_t scheduler;
const void* scheduler_stack = nullptr;
std::size_t scheduler_bytes = 0;

void resume(Thread& thread) {
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, thread.stack.get(), kStackBytes);
  swapcontext(&scheduler, &thread.context);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
}
void pause(Thread& thread) {
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, scheduler_stack, scheduler_bytes);
  swapcontext(&thread.context, &scheduler);
  __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_bytes);
}
void entered() {
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_bytes);
}
#else
// By jumps, which leave the signal mask alone: two system calls less each time.
jmp_buf scheduler_at;

void resume(Thread& thread) {
  if (_setjmp(scheduler_at) != 0) return;
  if (thread.begun) _longjmp(thread.at, 1);
  thread.begun = true;
  setcontext(&thread.context);
}
void pause(Thread& thread) {
  if (_setjmp(thread.at) == 0) _longjmp(scheduler_at, 1);
}
void entered() {}
#endif

void run_thread() {
  entered();
  while (true) {
    (*body)();
    threads[current].done = true;
    --running;
    progress = true;
    pause(threads[current]);
  }
}

void yield() {
  pause(threads[current]);
}

void run_block() {
  running = blockDim.x;
  warps.assign((blockDim.x + kLanes - 1) / kLanes, {});
  block_arrived = 0;
  for (unsigned i = 0; i < blockDim.x; ++i) {
    Thread& thread = threads[i];
    thread.done = false;
    thread.copies.assign(1, {});
    if (thread.stack) continue;
    thread.stack = std::make_unique<std::uint8_t[]>(kStackBytes);
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack.get();
    thread.context.uc_stack.ss_size = kStackBytes;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, run_thread, 0);
  }
  while (running > 0) {
    progress = false;
    for (unsigned i = 0; i < blockDim.x; ++i) {
      // Blocks differ in who comes first: nothing may depend on it.
      current = blockIdx.x % 2 == 0 ? i : blockDim.x - 1 - i;
      if (threads[current].done) continue;
      threadIdx.x = current;
      resume(threads[current]);
    }
    if (!progress) give_up("threads wait for others that do not come");
  }
}

}  // namespace

void launch(EmulatedDim blocks, unsigned count, const std::function<void()>& kernel) {
  if (emulated_recording != nullptr) {
    emulated_start([=] { launch(blocks, count, kernel); });
    return;
  }
  body = &kernel;
  gridDim = blocks;
  blockDim = {count, 1};
  if (threads.size() < count) threads.resize(count);
  for (blockIdx.y = 0; blockIdx.y < blocks.y; ++blockIdx.y) {
    for (blockIdx.x = 0; blockIdx.x < blocks.x; ++blockIdx.x) run_block();
  }
}

const Value* exchange(int kind, const void* value, std::size_t size) {
  Warp& warp = warps[current / kLanes];
  const unsigned generation = warp.generation;
  Value* const values = warp.values[generation % 2];
  if (size > kValueBytes) give_up("a value is too large");
  if (warp.arrived > 0 && warp.kind != kind) give_up("lanes of a warp do different things together");
  warp.kind = kind;
  std::memcpy(values[current % kLanes].bytes, value, size);
  progress = true;
  if (++warp.arrived == kLanes) {
    warp.arrived = 0;
    ++warp.generation;
  }
  while (warp.generation == generation) yield();
  return values;
}

void sync_block() {
  const unsigned generation = block_generation;
  ++block_arrived;
  progress = true;
  while (block_generation == generation) {
    if (block_arrived == running) {
      block_arrived = 0;
      ++block_generation;
    } else {
      yield();
    }
  }
}

void copy_later(void* to, const void* from, unsigned bytes, unsigned zeros) {
  threads[current].copies.back().push_back({to, from, bytes, zeros});
}

void commit_copies() {
  threads[current].copies.emplace_back();
}

void wait_for_copies(unsigned groups_left) {
  std::deque<std::vector<Copy>>& copies = threads[current].copies;
  for (; copies.size() > groups_left + 1; copies.pop_front()) {
    for (const Copy& copy : copies.front()) {
      std::memcpy(copy.to, copy.from, copy.bytes);
      std::memset(static_cast<std::uint8_t*>(copy.to) + copy.bytes, 0, copy.zeros);
    }
  }
}

}  // namespace emulated_gpu
