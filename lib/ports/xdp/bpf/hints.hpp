// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>

namespace pollux::xdp {

/// What an interface's driver tells an XDP program about a received frame besides its bytes. Linux,
/// Documentation/networking/xdp-rx-metadata.rst. Time stamps are not used: an mbuf has no place for one.
struct Hint {
  enum Flag : std::uint16_t {
    hash = 1,  ///< by which the driver or the card chooses a queue
    vlan = 2,  ///< a VLAN tag (0x8100) that is not in the frame's bytes any more
  };
};

/// Hint flags: those of the interface's driver; none before Linux 6.7. Looks in the thread's network namespace.
[[nodiscard]] std::uint16_t hints_of(unsigned interface);

/// The kernel's functions by which a program asks for hints: their numbers in the kernel's BTF.
struct HintCalls {
  std::optional<std::uint32_t> hash;
  std::optional<std::uint32_t> vlan;

  [[nodiscard]] bool any() const noexcept { return hash || vlan; }
};

/// Reads the kernel's BTF (5 MB, about 10 ms) for the functions of these hints.
[[nodiscard]] HintCalls find_hint_calls(std::uint16_t hints);

/// What the program puts right in front of a frame's first byte.
struct HintRecord {
  std::uint32_t hash = 0;
  std::uint16_t vlan = 0;   ///< tag control information, host byte order
  std::uint16_t hints = 0;  ///< Hint flags: which of the others say something
};
static_assert(sizeof(HintRecord) == 8);

}  // namespace pollux::xdp
