// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "netlink/socket.hpp"

namespace pollux::xdp {

/// An interface as the kernel lists it. rtnetlink(7), RTM_GETLINK.
struct LinkEntry {
  unsigned index = 0;
  std::string name;
  unsigned master = 0;        ///< index of the bridge or bond whose port it is; 0: none
  unsigned lower = 0;         ///< index of the interface on which a VLAN or the like lies; 0: none
  std::uint32_t program = 0;  ///< id of the attached XDP program; 0: none
  bool has_carrier = false;
};

/// All interfaces of the thread's network namespace; empty if the kernel does not say.
[[nodiscard]] std::vector<LinkEntry> read_links();

/// Whether the kernel sends on that interface now. `socket`: in the interface's network namespace.
[[nodiscard]] bool read_carrier(netlink::Socket& socket, unsigned interface);

/// The interface, and those whose frames go over it: bridges and bonds that have it, VLANs and tunnels that lie on it,
/// and so on.
[[nodiscard]] std::set<unsigned> interfaces_over(const std::vector<LinkEntry>& links, unsigned interface);

/// The XDP program that is attached to `interface`, such as "xdp_filter (id 17)"; empty if there is none.
[[nodiscard]] std::string attached_program(unsigned interface);

}  // namespace pollux::xdp
