// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "pollux/pollux.hpp"

namespace pollux::tools {

/// Watches for frames whose TCP or UDP checksum the kernel has left to hardware that there is not: over veth they
/// arrive with the sum of the pseudo-header in the checksum's place (CHECKSUM_PARTIAL, Linux,
/// Documentation/networking/checksum-offloads.rst). Forwarded, they are lost at their receiver. It looks at the first
/// frames of a port only, so that it costs nothing afterwards. It must live as long as its port is open.
class UnfinishedChecksums final : public RxObserver {
 public:
  static constexpr std::uint32_t kFrames = 1024;

  explicit UnfinishedChecksums(Port& port) : port_(port) {}

  [[nodiscard]] const Port& port() const noexcept { return port_; }
  /// Starts to watch all receive queues of the port.
  [[nodiscard]] Result<void> attach();
  /// Whether such a frame has arrived, once. Ends the watch when enough frames were seen. The thread that controls the
  /// port calls it.
  [[nodiscard]] bool found();

  void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept override;

 private:
  Port& port_;
  std::uint16_t queues_ = 0;  // that are still watched
  std::atomic<std::uint32_t> seen_{0};
  std::atomic<bool> unfinished_{false};
};

}  // namespace pollux::tools
