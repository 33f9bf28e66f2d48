// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>

#include "backends/qtest/connection.hpp"
#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// Addresses and sizes of a function's BARs. A size of 0 means that the BAR does not exist.
struct BarLayout {
  std::array<std::uint64_t, 6> address{};
  std::array<std::uint32_t, 6> size{};
};

/// Sets up PCI bus 0 of a q35 that runs no firmware, as far as the cards need it.
/// After a failed connection every error is device_removed. Thread rule: one thread at a time.
class PciBus {
 public:
  static constexpr unsigned kSlots = 32;

  explicit PciBus(QtestConnection& connection) : connection_(&connection) {}

  /// Enables the memory window onto all configuration spaces. Error not_supported if the machine is not a q35.
  [[nodiscard]] Result<void> enable_config_window();

  /// `width` is 1, 2 or 4 and `offset` a multiple of it below 4,096. An empty slot reads all ones.
  [[nodiscard]] Result<std::uint32_t> read(unsigned slot, std::uint32_t offset, unsigned width);
  [[nodiscard]] Result<void> write(unsigned slot, std::uint32_t offset, unsigned width, std::uint32_t value);

  /// Assigns addresses to the BARs of the function in `slot` and enables memory decoding.
  [[nodiscard]] Result<BarLayout> assign(unsigned slot);
  /// Writes the same addresses again, because a reset clears them.
  [[nodiscard]] Result<void> restore(unsigned slot, const BarLayout& layout);
  /// The offset of a capability; empty if the function has none of that id.
  [[nodiscard]] Result<std::optional<std::uint32_t>> find_capability(unsigned slot, std::uint8_t id);

 private:
  [[nodiscard]] Result<std::uint32_t> read_bar_size(unsigned slot, std::uint32_t offset);
  [[nodiscard]] Result<std::uint64_t> allocate_address(std::uint64_t size);

  QtestConnection* connection_;
  std::uint64_t next_;
};

}  // namespace pollux::qtest
