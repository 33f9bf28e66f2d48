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
  /// A frame leaves. The header is valid for it.
  using Sink = std::function<void(const hw::NetHeader& header, std::vector<std::byte>& frame)>;

  Transmit(Core& core, Receive& receive, Sink sink) : core_(core), receive_(receive), sink_(std::move(sink)) {}

  /// Sends what is available in transmit queue `pair`, at most as many entries as the queue has. True if more may be.
  bool send(std::uint32_t pair);
  /// The wire is full: nothing is sent meanwhile.
  void hold(bool held) noexcept { held_ = held; }
  [[nodiscard]] bool held() const noexcept { return held_; }
  void set_link(bool up) noexcept { link_ = up; }

 private:
  [[nodiscard]] bool read(const Queue& queue, const Chain& chain);
  void send_frame(std::uint32_t pair);

  Core& core_;
  Receive& receive_;
  Sink sink_;
  Chain chain_;
  std::vector<std::byte> bytes_;  // of the chain: header and frame
  std::vector<std::byte> frame_;
  bool held_ = false;
  bool link_ = false;
};

}  // namespace pollux::models::virtio
