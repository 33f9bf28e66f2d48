// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include <pollux/pollux.hpp>

namespace own_driver {

/// A counter that one thread writes and any thread reads.
using Count = std::atomic<std::uint64_t>;

class RxQueue final : public pollux::RxQueue {
 public:
  void setup(const pollux::Bar& bar, pollux::Mempool pool, std::uint16_t port);
  void open() noexcept { open_bursts(&burst); }
  [[nodiscard]] pollux::Result<void> close(pollux::Clock& clock, pollux::Duration limit) {
    return gate_.close(&idle, clock, limit);
  }
  /// The pool is a handle, from which this queue allocates its mbufs.
  [[nodiscard]] pollux::Result<void> use_cache(const pollux::MempoolCache&) override { return {}; }

  /// Sets the length of the longest frame that is received, in bytes without FCS. Any thread may call it.
  void set_max_frame(std::uint32_t length) noexcept { max_frame_.store(length, std::memory_order_relaxed); }

  Count packets{0}, bytes{0}, multicast{0}, handed_out{0}, pool_empty{0}, bad_length{0}, too_long{0};

 private:
  static std::uint32_t burst(pollux::RxQueue& base, pollux::Mbuf** out, std::uint32_t limit) noexcept;
  [[nodiscard]] pollux::RxObservers* observers() noexcept override { return &observers_; }
  /// Reads the frame whole. Returns an empty pointer if the pool has too few mbufs for it.
  [[nodiscard]] pollux::MbufPtr read(std::uint32_t length) noexcept;
  [[nodiscard]] bool allocate(pollux::MbufPtr& frame, std::uint32_t length) noexcept;
  void skip(std::uint32_t length) noexcept;

  pollux::Bar bar_;
  std::optional<pollux::Mempool> pool_;
  std::uint16_t port_ = 0;
  std::atomic<std::uint32_t> max_frame_{0};
  pollux::RxObservers observers_;
};

class TxQueue final : public pollux::TxQueue {
 public:
  void setup(const pollux::Bar& bar) { bar_ = bar; }
  void open() noexcept { open_bursts(&burst); }
  [[nodiscard]] pollux::Result<void> close(pollux::Clock& clock, pollux::Duration limit) {
    return gate_.close(&idle, clock, limit);
  }
  [[nodiscard]] pollux::Result<void> use_cache(const pollux::MempoolCache&) override { return {}; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept override { return 0; }

  Count packets{0}, bytes{0}, taken{0};
  Count too_short{0}, too_long{0}, bad_segment{0}, bad_offload{0}, shared_checksum{0}, unsupported_offload{0};

 private:
  static std::uint32_t burst(pollux::TxQueue& base, pollux::Mbuf* const* mbufs, std::uint32_t count) noexcept;
  [[nodiscard]] pollux::TxObservers* observers() noexcept override { return &observers_; }
  /// Computes the requested checksums. Returns the counter of the reason if the frame cannot be sent, else nullptr.
  [[nodiscard]] Count* drop_reason(pollux::Mbuf& frame) noexcept;
  void write(const pollux::Mbuf& frame) noexcept;

  pollux::Bar bar_;
  pollux::TxObservers observers_;
};

}  // namespace own_driver
