// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "net/virtio_net_header.hpp"
#include "ports/common/rx_queue.hpp"
#include "ports/common/tx_queue.hpp"

namespace pollux::tap {

/// Reads frames that the kernel sends out of the interface, one system call each. While the pool is dry they wait in
/// the kernel's own queue. Checksums that the kernel left to be computed are partial in the mbuf, too.
class RxQueue final : public ports::RxQueue {
 public:
  RxQueue(const ports::RxRules& rules, int descriptor) noexcept
      : ports::RxQueue(&burst, rules), descriptor_(descriptor) {}

  /// Drops what waits in the kernel. With the queue closed, and the carrier off, or it might not end.
  void drain() noexcept;
  /// Whether the interface is gone. From any thread.
  [[nodiscard]] bool is_gone() const noexcept { return gone_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kMaxSegments = 255;

  static std::uint32_t burst(pollux::RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool reserve(std::uint32_t bytes) noexcept;
  [[nodiscard]] std::int64_t read_frame() noexcept;
  [[nodiscard]] bool admit_frame(const std::uint8_t* start, std::uint32_t bytes) noexcept;
  [[nodiscard]] MbufPtr join(std::uint32_t bytes) noexcept;
  void note(Mbuf& frame) const noexcept;
  void give_back_from(std::size_t first) noexcept;

  int descriptor_;
  VirtioNetHeader header_;                      // of the frame that was read last
  std::array<Mbuf*, kMaxSegments> segments_{};  // empty, for the next frame
  std::size_t reserved_ = 0;                    // how many; none between bursts
  std::array<std::uint8_t, 64> beyond_{};       // where a frame that is too long shows
  std::atomic<bool> gone_{false};
};

/// Writes frames, which the kernel then receives from the interface. Partial checksums of TCP and UDP are handed over
/// as such, others are computed.
class TxQueue final : public ports::TxQueue {
 public:
  explicit TxQueue(int descriptor) noexcept : ports::TxQueue(&burst), descriptor_(descriptor) {}

 private:
  static std::uint32_t burst(pollux::TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  [[nodiscard]] int write_frame(Mbuf& frame) noexcept;
  [[nodiscard]] int write_partial(const Mbuf& frame) noexcept;

  int descriptor_;
  std::vector<std::uint8_t> scratch_ = std::vector<std::uint8_t>(65536);  // a frame whose checksums are computed
};

}  // namespace pollux::tap
