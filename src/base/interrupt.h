#pragma once

namespace twofold {

/// Turns SIGINT and SIGTERM into a flag, so that long work can stop at a safe place and clean up.
/// A second signal ends the process at once.
void catch_interrupts();

bool interrupted();

/// Throws Interrupted when a signal has come.
void check_interrupt();

/// Forgets the signal, for those who have done what it asked for and go on.
void clear_interrupt();

/// While one lives, a signal ends a blocking read of this program (EINTR); otherwise reads go on.
class InterruptibleReads {
 public:
  InterruptibleReads();
  ~InterruptibleReads();
  InterruptibleReads(const InterruptibleReads&) = delete;
  InterruptibleReads& operator=(const InterruptibleReads&) = delete;
};

}  // namespace twofold
