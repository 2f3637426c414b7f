#include "kernels/blas_turn.h"

#include <cblas.h>

namespace twofold {

namespace {

/// Whether callers must take turns.
bool prepare_blas() {
  openblas_set_num_threads(1);
  return openblas_get_parallel() == OPENBLAS_SEQUENTIAL;
}

}  // namespace

std::unique_lock<std::mutex> blas_turn() {
  static const bool takes_turns = prepare_blas();
  static std::mutex turn;
  std::unique_lock lock(turn, std::defer_lock);
  if (takes_turns) lock.lock();
  return lock;
}

}  // namespace twofold
