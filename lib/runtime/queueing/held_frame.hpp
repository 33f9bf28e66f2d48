// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <utility>

#include "pollux/mem/burst.hpp"
#include "pollux/mem/mbuf.hpp"

namespace pollux::queueing {

/// A frame that a discipline has given and taken back. It is given first, without a further decision.
class HeldFrame {
 public:
  HeldFrame() noexcept = default;
  HeldFrame(HeldFrame&& other) noexcept = default;
  HeldFrame& operator=(HeldFrame&&) = delete;
  ~HeldFrame() {
    Mbuf* const frame = frame_.release();
    if (frame != nullptr) drop_unnamed({&frame, 1});
  }

  [[nodiscard]] bool empty() const noexcept { return frame_ == nullptr; }
  /// Bytes of the frame; 0 if there is none.
  [[nodiscard]] std::uint32_t length() const noexcept { return frame_ != nullptr ? frame_->packet_length() : 0; }
  void hold(Mbuf& frame) noexcept { frame_.reset(&frame); }
  [[nodiscard]] Mbuf* release() noexcept { return frame_.release(); }

 private:
  MbufPtr frame_;
};

}  // namespace pollux::queueing
