#include "base/async_reader.h"

#ifdef TWOFOLD_URING
#include <liburing.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"
#endif

namespace twofold {

#ifdef TWOFOLD_URING

namespace {

class UringReader final : public AsyncReader {
 public:
  explicit UringReader(io_uring ring) : ring_(ring) {}

  ~UringReader() override {
    try {
      while (under_way_ > 0) wait();
    } catch (const Error&) {
      // The kernel waits for the rest when the ring goes.
    }
    io_uring_queue_exit(&ring_);
  }
  UringReader(const UringReader&) = delete;
  UringReader& operator=(const UringReader&) = delete;

  void submit(const ReadRequest& request) override {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) fail("io_uring: more reads than it was made for");
    io_uring_prep_read(entry, request.file->descriptor(), request.out.data(),
                       static_cast<unsigned>(request.out.size()), request.offset);
    entry->user_data = request.tag;
    int submitted = 0;
    do {
      submitted = io_uring_submit(&ring_);
    } while (submitted == -EINTR || submitted == -EAGAIN || submitted == -EBUSY);
    if (submitted < 0) fail("io_uring: cannot submit: {}", std::generic_category().message(-submitted));
    ++under_way_;
  }

  ReadResult wait() override {
    io_uring_cqe* entry = nullptr;
    int error = 0;
    do {
      error = io_uring_wait_cqe(&ring_, &entry);
    } while (error == -EINTR);
    if (error < 0) fail("io_uring: cannot wait: {}", std::generic_category().message(-error));
    const ReadResult result{entry->user_data, entry->res};
    io_uring_cqe_seen(&ring_, entry);
    --under_way_;
    return result;
  }

 private:
  io_uring ring_;
  std::size_t under_way_ = 0;
};

}  // namespace

std::unique_ptr<AsyncReader> make_uring_reader(std::size_t depth) {
  io_uring ring = {};
  // Containers and old kernels refuse it.
  if (io_uring_queue_init(static_cast<unsigned>(depth), &ring, 0) != 0) return nullptr;
  return std::make_unique<UringReader>(ring);
}

#else

std::unique_ptr<AsyncReader> make_uring_reader(std::size_t) {
  return nullptr;
}

#endif

}  // namespace twofold
