// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/link_partner.hpp"

namespace pollux::sim {

Result<std::unique_ptr<LinkPartner>> open_link_partner(const LinkPartnerOptions& options) {
  const bool pcap = !options.pcap_in.empty() || !options.pcap_out.empty();
  const bool tap = !options.tap.empty();
  const bool socket = !options.socket_local.empty() || !options.socket_remote.empty();
  if (static_cast<int>(pcap) + static_cast<int>(tap) + static_cast<int>(socket) != 1) {
    return fail(ErrorCode::invalid_argument, "a wire has one link partner",
                "use one of pcap-in/pcap-out, tap and socket");
  }
  if (tap) return open_tap_partner(options.tap);
  if (pcap) return open_pcap_partner(options.pcap_in, options.pcap_out);
  if (options.socket_local.empty() || options.socket_remote.empty()) {
    return fail(ErrorCode::invalid_argument, "a socket as link partner needs two paths",
                "set both socket-local=PATH (its own) and socket-remote=PATH (the peer's)");
  }
  return open_socket_partner(options.socket_local, options.socket_remote);
}

}  // namespace pollux::sim
