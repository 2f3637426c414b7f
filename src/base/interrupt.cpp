#include "base/interrupt.h"

#include <signal.h>

#include <atomic>

#include "base/error.h"

namespace twofold {

namespace {

std::atomic<int> g_signal{0};
static_assert(std::atomic<int>::is_always_lock_free, "the handler may touch nothing else");

void on_signal(int number) {
  if (g_signal.exchange(number) != 0) {
    signal(number, SIG_DFL);
    raise(number);
  }
}

void install(int flags) {
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = flags;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

void catch_interrupts() {
  install(SA_RESTART);
}

void clear_interrupt() {
  g_signal.store(0);
}

InterruptibleReads::InterruptibleReads() {
  install(0);
}

InterruptibleReads::~InterruptibleReads() {
  install(SA_RESTART);
}

bool interrupted() {
  return g_signal.load(std::memory_order_relaxed) != 0;
}

void check_interrupt() {
  if (interrupted()) throw Interrupted("interrupted");
}

}  // namespace twofold
