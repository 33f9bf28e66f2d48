// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pollux/device/device_model.hpp"

namespace pollux {

/// Kinds of fault when a model accesses memory.
enum class MemoryFaultKind : std::uint8_t {
  none,       ///< no fault: accesses are only counted
  refused,    ///< the access fails, as if the IOMMU did not map the address
  missing,    ///< a write is dropped
  late,       ///< a write is stored after MemoryFault::delay
  duplicate,  ///< a write is stored immediately, and again after the delay
  torn,       ///< MemoryFault::first_bytes of a write are stored immediately, the other bytes after the delay
  changed,    ///< MemoryFault::change edits the bytes of a write before they are stored
};

/// Describes one memory fault to inject.
struct MemoryFault {
  MemoryFaultKind kind = MemoryFaultKind::none;
  ModelAccess what = ModelAccess::receive_write_back;  ///< the accesses that are counted and can fail
  std::uint64_t at = 0;                                ///< the first access that fails, counted from 0
  std::uint64_t count = 1;                             ///< consecutive accesses that fail
  Duration delay{0};                                   ///< in the model's time
  /// The bytes of a torn write that are stored immediately. Offset and length are multiples of 4.
  struct {
    std::size_t offset = 0;
    std::size_t length = 0;
  } first_bytes = {};
  std::function<void(std::span<std::byte> bytes)> change = nullptr;  ///< must not throw
};

inline constexpr std::size_t kModelAccessKinds = 6;  ///< kinds of ModelAccess

/// Injects a memory fault into the accesses of a model. Install it with ModelDma::intercept.
/// Thread rule: that of DmaInterceptor. Call `occurrences` from any thread, `disable` only while the model is idle.
class FaultyMemory : public DmaInterceptor {
 public:
  explicit FaultyMemory(MemoryFault fault = {});

  [[nodiscard]] bool allow(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                           std::size_t length) noexcept override;
  void write(ModelDma& memory, const ModelWrite& write) noexcept override;
  void advance(ModelDma& memory, Duration now) noexcept override;

  /// Number of accesses of kind `what` so far.
  [[nodiscard]] std::uint64_t occurrences(ModelAccess what) const noexcept {
    return occurrences_[static_cast<std::size_t>(what)].load(std::memory_order_relaxed);
  }
  [[nodiscard]] bool triggered() const noexcept { return triggers_ != 0; }
  /// Ends the fault. Delayed writes are discarded.
  void disable() noexcept;

 private:
  struct Postponed {
    Duration due;
    ModelAccess what;
    std::uint32_t queue;
    std::uint64_t iova;
    std::vector<std::byte> bytes;
  };

  void postpone(const ModelWrite& write, std::size_t offset, std::size_t length);
  void tear(ModelDma& memory, const ModelWrite& write);

  const MemoryFault fault_;
  std::array<std::atomic<std::uint64_t>, kModelAccessKinds> occurrences_{};
  std::uint64_t triggers_ = 0;
  bool injecting_ = false;  // the fault applies to the access that `allow` saw last
  bool disabled_ = false;
  Duration now_{0};
  std::vector<Postponed> postponed_;
};

}  // namespace pollux
