// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string_view>

#include "models/virtio/net/core.hpp"
#include "models/virtio/net/packet.hpp"

namespace pollux::models::virtio {

/// Frames on the way to a device whose checksum is still partial, or which are still to be segmented: a wire carries
/// bytes alone, so the header that says so is kept here and found by the bytes. A frame that the wire has changed is
/// not found: its checksum is wrong then, as it should be. Both devices of a wire hold it, under the wire's lock.
class Incoming {
 public:
  explicit Incoming(const Core& receiver) : receiver_(&receiver) {}
  void receiver_is_gone() noexcept { receiver_ = nullptr; }

  /// The requests of a sender that the receiver takes, as HOST_ bits.
  [[nodiscard]] hw::Features accepts() const {
    return receiver_ != nullptr && receiver_->running() ? host_bits(receiver_->settings.guest_offloads) : 0;
  }
  void put(std::span<const std::byte> frame, const hw::NetHeader& header) {
    const std::size_t key = key_of(frame);
    if (!headers_.insert_or_assign(key, header).second) return;
    order_.push_back(key);
    if (order_.size() <= kMost) return;
    headers_.erase(order_.front());
    order_.pop_front();
  }
  [[nodiscard]] hw::NetHeader find(std::span<const std::byte> frame) const {
    if (headers_.empty()) return {};
    const auto found = headers_.find(key_of(frame));
    return found == headers_.end() ? hw::NetHeader{} : found->second;
  }

 private:
  static constexpr std::size_t kMost = 4096;
  [[nodiscard]] static std::size_t key_of(std::span<const std::byte> frame) {
    return std::hash<std::string_view>()({reinterpret_cast<const char*>(frame.data()), frame.size()});
  }

  const Core* receiver_;
  /// Ordered: a sender may choose frames whose hashes are in the same bucket of an unordered one.
  std::map<std::size_t, hw::NetHeader> headers_;
  std::deque<std::size_t> order_;  // the keys, oldest first
};

}  // namespace pollux::models::virtio
