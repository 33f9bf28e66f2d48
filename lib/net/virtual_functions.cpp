// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/net/virtual_functions.hpp"

namespace pollux {

std::string_view to_string(VirtualFunctionRefusal refusal) noexcept {
  constexpr std::array<std::string_view, kVirtualFunctionRefusals> kNames{
      "not_ready",    "unknown_request", "address_is_set",       "invalid_address", "too_many_addresses", "vlan_is_set",
      "invalid_vlan", "too_many_vlans",  "invalid_frame_length", "promiscuous",     "mailbox_held"};
  const auto index = static_cast<std::size_t>(refusal);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace pollux
