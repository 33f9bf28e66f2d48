// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "device/fault_memory.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/fault.hpp"
#include "pollux/mem/context.hpp"

namespace pollux::tool {

/// The fault of an exported card: one of parse_fault, or one of the card's accesses to memory, such as
/// "refused-descriptor-read@10" or "late-receive-write-back@0x3". It lives longer than the card's device.
class CardFault {
 public:
  /// Injects the fault into `device`, a device of `sim:`, which is replaced. Errors: invalid_argument; the hint lists
  /// the kinds; and those of with_faults.
  [[nodiscard]] static Result<std::unique_ptr<CardFault>> inject(Context& context, std::string_view text,
                                                                 std::unique_ptr<Device>& device);

  /// True once: in the first call after the fault has happened for the first time.
  [[nodiscard]] bool has_begun() noexcept;
  /// How often it happened, and among how many accesses of its kind: "2 times in 17 register reads".
  [[nodiscard]] std::string outcome() const;

 private:
  CardFault(std::uint64_t at, std::uint64_t count, std::string_view unit) : at_(at), count_(count), unit_(unit) {}
  [[nodiscard]] std::uint64_t seen() const noexcept;

  std::uint64_t at_;
  std::uint64_t count_;
  std::string_view unit_;
  std::shared_ptr<FaultInjector> injector_;  // of registers and calls
  std::unique_ptr<FaultyMemory> memory_;     // of the card's memory accesses; one of both
  ModelAccess what_{};
  bool told_ = false;
};

}  // namespace pollux::tool
