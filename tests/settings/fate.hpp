// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "settings/asked.hpp"
#include "settings/random.hpp"

namespace pollux::test::settings {

/// A frame whose parts are known, so that nothing has to be parsed.
struct Probe {
  MacAddress destination{};
  std::optional<std::uint16_t> tag = {};  ///< tag control, behind EtherType 0x8100
  std::uint16_t ether_type = 0x88B5;
  // If the type is that of IPv4:
  std::array<std::uint8_t, 4> source{}, target{};
  std::uint8_t protocol = 17;
  std::uint16_t source_port = 0, target_port = 0;
  std::size_t bytes = 60;  ///< of the whole frame, without FCS

  [[nodiscard]] std::vector<std::byte> frame() const;
};

/// A probe for a port with these settings: most have something that a setting names.
[[nodiscard]] Probe random_probe(Random& random, const Asked& asked, const MacAddress& own);

/// What becomes of a frame that arrives.
struct Fate {
  enum class End : std::uint8_t {
    delivered,
    filtered,  ///< by its address or VLAN: as if it had not arrived
    too_long,  ///< counted in rx_length_errors
    open,      ///< an imperfect filter may let it pass: the hash of its group is that of another
  };
  End end = End::delivered;
  std::uint16_t queue = 0;
  std::optional<std::uint16_t> stripped = {};  ///< the tag that is not in the frame any more
};

/// The fate that the settings mean, from the documentation of the public API, Microsoft's definition of RSS and, for
/// the longest frame and hashes of groups, the datasheet.
[[nodiscard]] Fate fate_of(const Probe& probe, const Asked& asked, const MacAddress& own);

/// Microsoft's Toeplitz hash: for each set bit of the input, from the first on, the 32 bits of the key from there on.
[[nodiscard]] std::uint32_t toeplitz(const packet::RssKey& key, std::span<const std::uint8_t> input);

}  // namespace pollux::test::settings
