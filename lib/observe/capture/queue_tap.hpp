// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "observe/capture/frame_tap.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/net/queue_observer.hpp"

namespace pollux::observe {

/// Captures what a receive queue returns.
class RxTap final : public RxObserver {
 public:
  RxTap(const TapSettings& settings, const Clock& clock) : tap_(settings), clock_(clock) {}
  void received(const RxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }

 private:
  FrameTap tap_;
  const Clock& clock_;
};

/// Captures what a transmit queue takes.
class TxTap final : public TxObserver {
 public:
  TxTap(const TapSettings& settings, const Clock& clock) : tap_(settings), clock_(clock) {}
  void sending(const TxQueue& queue, std::span<Mbuf* const> frames) noexcept override;
  void sent(const TxQueue& queue, std::uint32_t count) noexcept override;
  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }

 private:
  FrameTap tap_;
  const Clock& clock_;
};

/// Captures the frames that a program drops, of those that one port has received. The counters may belong to several
/// threads. One that drops frames while another one does so does not wait: these frames are counted as lost.
class DropTap final : public DropObserver {
 public:
  /// A record's `reason` is an index of `counters`. They exist when `attach` is called, and may end before this.
  DropTap(const TapSettings& settings, const Clock& clock, std::vector<const DropCounter*> counters,
          std::uint16_t port);
  DropTap(const DropTap&) = delete;
  DropTap& operator=(const DropTap&) = delete;
  ~DropTap() override { detach(); }

  void attach();
  void detach() noexcept;
  void dropped(const DropCounter& reason, std::span<Mbuf* const> frames) noexcept override;

  [[nodiscard]] FrameTap& tap() noexcept { return tap_; }
  [[nodiscard]] const std::string& name_of(std::uint16_t reason) const noexcept { return names_[reason]; }

 private:
  [[nodiscard]] std::uint32_t count_ours(std::span<Mbuf* const> frames) const noexcept;

  FrameTap tap_;
  const Clock& clock_;
  const std::vector<const DropCounter*> counters_;
  std::vector<std::string> names_;
  std::vector<DropAttachment> attachments_;
  const std::uint16_t port_;
  std::mutex producer_;
  std::atomic<std::uint32_t> missed_{0};  // frames of threads that did not get the lock
};

}  // namespace pollux::observe
