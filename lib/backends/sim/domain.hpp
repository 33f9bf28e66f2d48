// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "pollux/device/device_model.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::sim {

/// An in-process card's IOMMU: a table of the Context's mappings. The card can access nothing else.
/// Thread rule: `map` and `unmap` take the wire's lock. `translate` is called with the lock held, as is all of the
/// card's work.
class Domain final : public DmaDomain, public ModelDma {
 public:
  explicit Domain(std::shared_ptr<std::mutex> wire_lock) : lock_(std::move(wire_lock)) {}

  [[nodiscard]] std::string_view name() const override { return "sim domain"; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override;
  [[nodiscard]] Result<void> map(const DmaSegment& segment) override;
  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override;

  [[nodiscard]] std::byte* translate(std::uint64_t iova, std::size_t length) noexcept override {
    return find(iova, length, true);
  }
  [[nodiscard]] const std::byte* translate_for_read(std::uint64_t iova, std::size_t length) noexcept override {
    return find(iova, length, false);
  }
  [[nodiscard]] std::size_t contiguous(std::uint64_t iova, std::size_t length) const noexcept override;
  [[nodiscard]] Duration read_latency() const noexcept override { return read_latency_; }
  /// Sets the time that memory takes to answer the card's reads. Call it while the card is idle.
  void set_read_latency(Duration latency) noexcept { read_latency_ = latency; }
  /// True if accesses were refused since the last `take_report`.
  [[nodiscard]] bool has_report() const noexcept { return refused() != reported_.load(std::memory_order_relaxed); }
  /// One line of text on the accesses that were refused since the last call.
  [[nodiscard]] std::string take_report();
  /// Number of accesses to memory that is not mapped, or not mapped for writing.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::byte* find(std::uint64_t iova, std::size_t length, bool writes) noexcept;

  std::shared_ptr<std::mutex> lock_;
  std::map<std::uint64_t, DmaSegment> segments_;  // by IOVA
  std::array<DmaSegment, 4> recent_{};            // a cache: accesses alternate between rings and buffers
  std::size_t oldest_ = 0;                        // index in `recent_`
  Duration read_latency_{0};
  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::uint64_t> reported_{0};  // value of `refused_` at the last report
  std::uint64_t refused_iova_ = 0;          // of the last refused access
  std::size_t refused_length_ = 0;
};

}  // namespace pollux::sim
