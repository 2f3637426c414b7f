#pragma once

#include <mutex>

namespace twofold {

/// To be held by whoever calls the BLAS. Makes OpenBLAS compute on its callers' threads, and lets these take
/// turns where they must: a build without threads hands out its buffers without a lock, and concurrent
/// callers get one another's products.
std::unique_lock<std::mutex> blas_turn();

}  // namespace twofold
