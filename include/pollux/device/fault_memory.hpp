// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/device/model_dma.hpp"

namespace pollux {

/// What goes wrong when a model accesses memory.
enum class MemoryFaultKind : std::uint8_t {
  none,       ///< nothing: only the places are counted
  refused,    ///< the access finds no memory, as with an IOMMU that does not know the address
  missing,    ///< a write is never made
  late,       ///< a write is made after MemoryFault::delay
  duplicate,  ///< a write is made, and again after the delay
  torn,       ///< MemoryFault::first_bytes of a write are stored at once, the others after the delay
  changed,    ///< a write is made after MemoryFault::change has had its bytes
};

/// One fault of memory, ordered.
struct MemoryFault {
  MemoryFaultKind kind = MemoryFaultKind::none;
  ModelAccess what = ModelAccess::receive_write_back;  ///< the places that count
  std::uint64_t at = 0;                                ///< the first place that it strikes, counted from 0
  std::uint64_t count = 1;                             ///< places in a row
  Duration delay{0};                                   ///< of the model's time
  /// Of a torn write: offset and length of what is stored at once; both multiples of 4.
  struct {
    std::size_t offset = 0;
    std::size_t length = 0;
  } first_bytes = {};
  std::function<void(std::span<std::byte> bytes)> change = nullptr;
};

inline constexpr std::size_t kMemoryPlaces = 6;  ///< kinds of ModelAccess

/// Lets a fault happen between a model and memory: put it there with ModelDma::intercept.
/// Thread rule: that of DmaInterceptor; `places` and `lift` while the model is at rest.
class POLLUX_API FaultyMemory : public DmaInterceptor {
 public:
  explicit FaultyMemory(MemoryFault fault = {});

  [[nodiscard]] bool allow(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                           std::size_t length) noexcept override;
  void write(ModelDma& memory, const ModelWrite& write) noexcept override;
  void advance(ModelDma& memory, Duration now) noexcept override;

  /// Accesses of that kind so far.
  [[nodiscard]] std::uint64_t places(ModelAccess what) const noexcept {
    return places_[static_cast<std::size_t>(what)];
  }
  [[nodiscard]] bool struck() const noexcept { return strikes_ != 0; }
  /// Ends the fault; what it has put off is never written.
  void lift() noexcept;

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
  std::array<std::uint64_t, kMemoryPlaces> places_{};
  std::uint64_t strikes_ = 0;
  bool striking_ = false;  // the access that was allowed last
  bool lifted_ = false;
  Duration now_{0};
  std::vector<Postponed> postponed_;
};

}  // namespace pollux
