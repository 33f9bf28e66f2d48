// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <vector>

#include "models/virtio/net/core.hpp"
#include "models/virtio/net/packet.hpp"
#include "models/virtio/net/receive.hpp"

namespace pollux::models::virtio {

/// The transmit queues. VIRTIO 1.3, 5.1.6.2.
class Transmit {
 public:
  struct Hooks {
    /// Gives a frame to the other end as it is, with its valid header. False if that end does not accept it so.
    std::function<bool(const hw::NetHeader& header, std::span<const std::byte> frame)> pass;
    std::function<void(std::span<const std::byte> frame)> send;  ///< a frame leaves
  };

  Transmit(Core& core, Receive& receive, Hooks hooks) : core_(core), receive_(receive), hooks_(std::move(hooks)) {}

  /// Sends what is available in transmit queue `pair`. True if more may be.
  [[nodiscard]] bool send(std::uint32_t pair);
  void reset() noexcept { leaving_.discard(); }
  /// The wire is full: nothing is sent meanwhile.
  void hold(bool held) noexcept { held_ = held; }
  [[nodiscard]] bool held() const noexcept { return held_; }
  void set_link(bool up) noexcept { link_ = up; }

 private:
  [[nodiscard]] bool read(const Queue& queue, const Chain& chain);
  void send_frame(std::uint32_t pair);
  /// False if the frame that is leaving is not finished.
  [[nodiscard]] bool continue_frame();

  Core& core_;
  Receive& receive_;
  Hooks hooks_;
  Completion leaving_;
  Chain chain_;
  std::vector<std::byte> bytes_;  // of the chain: header and frame
  std::vector<std::byte> frame_;
  bool held_ = false;
  bool link_ = false;
};

}  // namespace pollux::models::virtio
