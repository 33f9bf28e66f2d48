// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// The version of an NVM's image, as Linux's igb reads it (e1000_nvm.c, igb_get_fw_version).
struct NvmVersion {
  /// As the image's maker counts.
  ///@{
  std::uint8_t major = 0;
  std::uint8_t minor = 0;
  ///@}
  std::uint8_t image = 0;                                ///< 0 in images with a track id
  std::optional<std::uint32_t> track_id = std::nullopt;  ///< EETRACK id; nullopt: the image has none
};

/// What the NVM says about itself and its card.
struct NvmInfo {
  std::uint32_t words = 0;      ///< 16-bit words
  std::uint16_t vendor_id = 0;  ///< of the PCI identity in the NVM
  std::uint16_t device_id = 0;  ///< the same
  bool checksum_holds = false;  ///< false: the card may not load its address from it
  NvmVersion version = {};      ///< of the image
};

/// The part of the NVM that its memory chip keeps from being written. It outlives resets and power cycles.
enum class NvmProtection : std::uint8_t { none, upper_quarter, upper_half, all };

/// Capability (see capability.hpp): the card's non-volatile memory, from which it loads its addresses and settings at
/// each reset. Some of its words belong to all ports of the card. What is written can make the card unusable: keep a
/// copy. Changes take effect when the card reads its NVM again, at the latest after a power cycle.
/// A call waits for other ports and for firmware, at most a few seconds. Errors of all calls: bad_state (the port is
/// closed), device_removed, timeout (another user keeps the NVM, or it does not answer).
class POLLUX_API Nvm {
 public:
  static constexpr CapabilityId kId{"nvm"};

  virtual ~Nvm() = default;
  /// Reads the words that it needs each time.
  [[nodiscard]] virtual Result<NvmInfo> nvm_info() = 0;
  /// Reads `count` words from word `first` on. Error invalid_argument: beyond the end.
  [[nodiscard]] virtual Result<std::vector<std::uint16_t>> read_nvm(std::uint32_t first, std::uint32_t count) = 0;
  /// Writes words from word `first` on, then the checksum word if it has to change. Pages that are as wanted are not
  /// written. Each page is read back. Takes about 10 ms a page of 4 words.
  /// Errors that change nothing: invalid_argument (beyond the end; `words` has the checksum word and the sum would be
  /// wrong), bad_state (a word is protected, see set_nvm_protection), not_supported (the card has no memory
  /// chip at its pins). Errors that name the words that were written: device_fault (a word reads otherwise), timeout,
  /// device_removed. The checksum may then be wrong; write the old words again before the port is closed.
  [[nodiscard]] virtual Result<void> write_nvm(std::uint32_t first, std::span<const std::uint16_t> words) = 0;
  /// Error not_supported: as `write_nvm`.
  [[nodiscard]] virtual Result<NvmProtection> nvm_protection() = 0;
  /// Errors: not_supported as `write_nvm`; device_fault (the chip did not take it, since its WP pin is low).
  [[nodiscard]] virtual Result<void> set_nvm_protection(NvmProtection protection) = 0;
};

}  // namespace pollux
