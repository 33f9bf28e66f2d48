// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "backends/qtest/connection.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// Where a function's base address registers are; a size of 0 means that there is none.
struct BarLayout {
  std::array<std::uint64_t, 6> address{};
  std::array<std::uint32_t, 6> size{};
};

/// PCI bus 0 of a q35 that no firmware has touched: does what firmware would, as far as cards need it.
/// Errors are device_removed where the wire has failed. Thread rule: one thread at a time.
class PciBus {
 public:
  static constexpr unsigned kSlots = 32;

  explicit PciBus(QtestConnection& connection) : connection_(&connection) {}

  /// Opens the window through which configuration spaces are reached. Error not_supported for what is no q35.
  [[nodiscard]] Result<void> enable_window();

  /// `width` is 1, 2 or 4 and `offset` a multiple of it below 4,096. An empty slot reads all ones.
  [[nodiscard]] Result<std::uint32_t> read(unsigned slot, std::uint32_t offset, unsigned width);
  [[nodiscard]] Result<void> write(unsigned slot, std::uint32_t offset, unsigned width, std::uint32_t value);

  /// Gives the function in `slot` addresses and lets it answer there.
  [[nodiscard]] Result<BarLayout> assign(unsigned slot);
  /// The same addresses once more, as a reset takes them away.
  [[nodiscard]] Result<void> restore(unsigned slot, const BarLayout& layout);
  /// The offset of a capability; empty if the function has none of that id.
  [[nodiscard]] Result<std::optional<std::uint32_t>> find_capability(unsigned slot, std::uint8_t id);

 private:
  [[nodiscard]] Result<std::uint32_t> measure(unsigned slot, std::uint32_t offset);
  [[nodiscard]] Result<std::uint64_t> take_window(std::uint64_t size);

  QtestConnection* connection_;
  std::uint64_t next_;
};

}  // namespace pollux::qtest
