// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "drivers/intel/gigabit/card.hpp"
#include "pollux/net/nvm.hpp"

namespace pollux::drivers::gigabit {

/// The capability Nvm of a port: words are read through EERD and written through the pins of EECD. EEWR, which would
/// write words, belongs to later cards (Linux, e1000_82575.c, igb_init_nvm_params_82575).
class NvmControl final : public Nvm {
 public:
  explicit NvmControl(const GigabitCard& card) noexcept : card_(card) {}

  [[nodiscard]] Result<NvmInfo> nvm_info() override;
  [[nodiscard]] Result<std::vector<std::uint16_t>> read_nvm(std::uint32_t first, std::uint32_t count) override;
  [[nodiscard]] Result<void> write_nvm(std::uint32_t first, std::span<const std::uint16_t> words) override;
  [[nodiscard]] Result<NvmProtection> nvm_protection() override;
  [[nodiscard]] Result<void> set_nvm_protection(NvmProtection protection) override;

 private:
  struct Words {
    std::uint32_t first = 0;
    std::span<const std::uint16_t> words;
  };

  [[nodiscard]] Result<void> expect_pins() const;
  [[nodiscard]] Result<void> expect_words() const;
  [[nodiscard]] std::uint32_t section_with(std::uint32_t word) const noexcept;
  [[nodiscard]] Result<std::vector<std::uint16_t>> read_by_pins(std::uint32_t first, std::uint32_t count) const;
  [[nodiscard]] Result<void> check_range(std::uint32_t first, std::size_t count) const;
  [[nodiscard]] Result<void> check_protection(std::uint32_t end) const;
  /// The checksum word that the NVM needs once `wanted` is written.
  [[nodiscard]] Result<std::uint16_t> checksum_after(const Words& wanted) const;
  [[nodiscard]] Result<void> write_words(const Words& wanted) const;

  const GigabitCard& card_;
};

}  // namespace pollux::drivers::gigabit
