// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/gso.hpp"

namespace pollux {

SegmentingTx::SegmentingTx(TxQueue& queue, const OffloadLimits& limits, MempoolCache& cache)
    : queue_(queue), limits_(limits), cache_(cache) {}

SegmentingTx::~SegmentingTx() {
  if (segmenter_.is_complete()) return;
  Mbuf* const frame = segmenter_.abandon().release();
  drop_unnamed({&frame, 1});
}

void SegmentingTx::drop(MbufPtr frame, DropCounter& reason) noexcept {
  Mbuf* const dropped = frame.get();
  reason.add({&dropped, 1});
  cache_.free(std::move(frame));
}

/// Whether all that was ready is in the queue.
bool SegmentingTx::send_ready() noexcept {
  while (!ready_.empty() || !segmenter_.is_complete()) {
    if (segmenter_.next(cache_, ready_) == Segmenter::Outcome::no_memory && ready_.empty()) {
      // Mbufs that the queue has sent may be what is missing.
      queue_.tx_done_cleanup();
      if (segmenter_.next(cache_, ready_) == Segmenter::Outcome::no_memory && ready_.empty()) {
        drop(segmenter_.abandon(), no_memory_);
        continue;
      }
    }
    queue_.tx_burst(ready_);
    if (!ready_.empty()) return false;
  }
  return true;
}

/// Makes a frame ready for the queue. The segmenter is complete, and there is room.
void SegmentingTx::take(MbufPtr& frame) noexcept {
  if (port_segments(limits_, *frame)) {
    static_cast<void>(ready_.push(frame));
  } else if (!segmenter_.start(frame, limits_)) {
    drop(std::move(frame), bad_request_);
  }
}

std::uint32_t SegmentingTx::send_frames(std::uint32_t count) noexcept {
  std::uint32_t taken = 0;
  if (!send_ready()) return taken;
  while (taken < count) {
    // Frames that pass as they are go to the queue in one burst.
    while (taken < count && segmenter_.is_complete() && port_segments(limits_, *frames_[taken])) take(frames_[taken++]);
    if (!ready_.empty() || taken == count) {
      queue_.tx_burst(ready_);
      if (ready_.empty()) continue;
      // What the queue does not take goes back to the caller.
      for (std::uint32_t left = ready_.size(); left-- > 0;) frames_[--taken] = ready_.pop();
      return taken;
    }
    take(frames_[taken++]);
    if (!send_ready()) return taken;
  }
  return taken;
}

}  // namespace pollux
