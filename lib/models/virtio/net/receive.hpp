// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "models/virtio/net/core.hpp"
#include "models/virtio/net/packet.hpp"

namespace pollux::models::virtio {

/// The receive queues: filters, steering, and the writing of frames into buffers. VIRTIO 1.3, 5.1.6.3 and 5.1.6.4.
class Receive {
 public:
  /// [I-V-BACKLOG] Frames that wait for buffers, of all queues. What does not fit is dropped, as at a switch.
  static constexpr std::size_t kBacklogBytes = std::size_t{1} << 20;

  explicit Receive(Core& core) : core_(core), backlog_(core.options.pairs) {}

  /// A frame arrives. `header`: how the sender left it to the receiver; an empty one for a frame from the wire.
  void receive(std::span<const std::byte> frame, const hw::NetHeader& header = {});
  /// The driver has made buffers available in receive queue `pair`.
  /// True if waiting frames may fit into more of them.
  [[nodiscard]] bool refill(std::uint32_t pair);
  [[nodiscard]] bool can_receive() const noexcept { return core_.running() && backlog_bytes_ == 0; }
  /// Remembers which pair sends frames of a flow (5.1.6.5.6.1, automatic receive steering).
  void learn(std::span<const std::byte> frame, std::uint32_t pair);
  /// Frames that wait for `pair` are dropped: its queue was disabled.
  void drop_backlog(std::uint32_t pair);
  void reset();

 private:
  struct Waiting {
    std::vector<std::byte> frame;
    hw::NetHeaderWithHash header;
  };
  enum class Placed : std::uint8_t { done, dropped, no_buffers };

  [[nodiscard]] bool passes(std::span<const std::byte> frame) const;
  [[nodiscard]] std::uint32_t choose(std::span<const std::byte> frame, const Hash& hash) const;
  [[nodiscard]] std::uint32_t steer(std::span<const std::byte> frame, const Hash& hash) const;
  [[nodiscard]] Placed place(Queue& queue, std::span<const std::byte> frame, hw::NetHeaderWithHash header);
  [[nodiscard]] bool gather(Queue& queue, std::uint64_t needed);
  [[nodiscard]] bool scatter(Queue& queue, std::span<const std::byte> header, std::span<const std::byte> frame);

  Core& core_;
  std::vector<std::deque<Waiting>> backlog_;  // by pair
  std::size_t backlog_bytes_ = 0;
  std::array<std::uint8_t, 256> flows_{};  // 1 + the pair that sent last; 0: none has
  std::vector<Chain> chains_;
  std::size_t taken_ = 0;  // of `chains_`
};

}  // namespace pollux::models::virtio
