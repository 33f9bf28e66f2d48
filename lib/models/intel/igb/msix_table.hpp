// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace pollux::models::igb {

/// The BAR of the MSI-X vectors of a physical or virtual function: the table, and the pending bits behind it. The
/// address and data of a message are stored only. PCI Local Bus Specification 3.0, 6.8.2.
class MsixTable {
 public:
  static constexpr std::uint32_t kPendingOffset = 0x2000;
  static constexpr std::uint32_t kBarBytes = 0x4000;

  explicit MsixTable(unsigned vectors);

  /// Masks all vectors. None is pending.
  void reset();
  /// Whether the message is sent now. Otherwise the vector is masked and becomes pending.
  [[nodiscard]] bool request(unsigned vector);
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const;
  /// Returns the vector that was pending and is no longer masked. Its message is due.
  [[nodiscard]] std::optional<unsigned> write(std::uint32_t offset, std::uint32_t value);
  void clear_pending(std::uint32_t vectors) noexcept { pending_ &= ~vectors; }

 private:
  [[nodiscard]] bool masked(unsigned vector) const noexcept;

  std::vector<std::uint32_t> words_;
  std::uint32_t pending_ = 0;
};

}  // namespace pollux::models::igb
