#pragma once

namespace twofold {

/// Turns SIGINT and SIGTERM into a flag, so that long work can stop at a safe place and clean up.
/// A second signal ends the process at once.
void catch_interrupts();

bool interrupted();

/// Throws Interrupted when a signal has come.
void check_interrupt();

}  // namespace twofold
