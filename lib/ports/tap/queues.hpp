// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "net/virtio_net_header.hpp"
#include "pollux/net/queue_driver.hpp"

namespace pollux::tap {

/// Reads frames that the kernel sends on the interface, one system call each. While the pool is exhausted, frames wait
/// in the kernel's queue. Partial checksums of the kernel stay partial in the mbuf.
class TapRxQueue final : public RxQueueDriver {
 public:
  /// `superframes`: the kernel may send frames that request segmentation.
  TapRxQueue(const RxFilter& filter, int descriptor, bool superframes)
      : RxQueueDriver(&burst, &filter), descriptor_(descriptor), superframes_(superframes) {
    allow_sleeping(descriptor);
  }

  /// Drops the frames that wait in the kernel. Call it with the queue closed and the carrier off, so that no more come.
  void drain() noexcept;
  /// Whether the interface was deleted. May be called from any thread.
  [[nodiscard]] bool is_deleted() const noexcept { return deleted_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kMaxSegments = 255;

  [[nodiscard]] bool watch() noexcept override;
  static std::uint32_t burst(RxQueue& base, Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] bool reserve(std::uint32_t bytes) noexcept;
  [[nodiscard]] std::int64_t read_frame() noexcept;
  [[nodiscard]] bool admit_frame(const std::uint8_t* start, std::uint32_t bytes) noexcept;
  [[nodiscard]] MbufPtr build_frame(std::uint32_t bytes) noexcept;
  void attach_metadata(Mbuf& frame) const noexcept;
  void give_back_from(std::size_t first) noexcept;

  [[nodiscard]] MbufPtr build_superframe(std::uint32_t bytes) noexcept;

  int descriptor_;
  bool superframes_;
  VirtioNetHeader header_;                      // of the frame that was read last
  std::array<Mbuf*, kMaxSegments> segments_{};  // empty mbufs for the next frame
  std::size_t reserved_ = 0;                    // number of mbufs in segments_; 0 between bursts
  std::uint32_t room_ = 0;                      // bytes in these mbufs
  std::array<std::uint8_t, 64> overflow_{};     // gets bytes only of a frame that is too long
  bool saw_empty_ = false;                      // the last burst found no more frames; false after `watch`
  std::atomic<bool> deleted_{false};
};

/// Writes frames, which the kernel receives from the interface. It passes partial TCP and UDP checksums to the kernel,
/// and frames that request segmentation, and computes other checksums. A frame whose metadata says that its checksum is
/// good carries VIRTIO_NET_HDR_F_DATA_VALID; Linux 6.18 ignores that and checks again.
class TapTxQueue : public TxQueueDriver {
 public:
  explicit TapTxQueue(int descriptor) noexcept : TxQueueDriver(&burst), descriptor_(descriptor) {}

 private:
  static std::uint32_t burst(TxQueue& base, Mbuf* const* mbufs, std::uint32_t count) noexcept;
  [[nodiscard]] int write_frame(Mbuf& frame) noexcept;
  [[nodiscard]] int write_partial(const Mbuf& frame) noexcept;
  [[nodiscard]] int write_superframe(Mbuf& frame) noexcept;

  int descriptor_;
  std::vector<std::uint8_t> scratch_ = std::vector<std::uint8_t>(65536);  // a frame whose checksums are computed
};

}  // namespace pollux::tap
