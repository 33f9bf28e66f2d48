// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::pci {

/// An IPv4 or IPv6 address with the length of its prefix in bits.
struct POLLUX_API IpPrefix {
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};  ///< network order; IPv4 takes the first four
  std::uint8_t length = 0;               ///< 0..32 or 0..128

  [[nodiscard]] bool is_link_local() const;  ///< within 169.254.0.0/16 or fe80::/10
  [[nodiscard]] bool is_multicast() const;   ///< within 224.0.0.0/4 or ff00::/8
  [[nodiscard]] std::string to_string() const;
};

/// A network interface, called link as in rtnetlink. Numbers are unique in one namespace only.
struct NetworkLink {
  static constexpr std::uint64_t kUnknownNamespace = UINT64_MAX;

  std::uint32_t index = 0;
  std::string name = {};
  std::string kind = {};           ///< "vlan", "bridge", "bond", ...; empty for hardware
  std::string parent_device = {};  ///< name of the bus device below it, such as "0000:01:00.0"; empty: none or not told
  std::uint32_t master = 0;        ///< link that it is a member of; 0: none
  std::uint32_t lower = 0;         ///< link that it sits on, as a VLAN does; 0: none
  std::uint64_t lower_namespace = 0;  ///< id of the namespace that `lower` is in; 0: the same one
};

struct LinkAddress {
  std::uint32_t link = 0;
  IpPrefix prefix = {};
  bool host_scope = false;  ///< valid inside this machine only
};

struct LinkRoute {
  std::uint32_t link = 0;  ///< one entry a next hop
  IpPrefix destination = {};
  bool has_gateway = false;
  bool unicast = true;  ///< false: the kernel's own local, broadcast, anycast and multicast entries
  std::uint32_t table = 0;
};

struct NetworkNamespace {
  std::uint64_t id = 0;   ///< inode of its nsfs file
  std::string name = {};  ///< in words: "network namespace blue", "the network namespace of process 42 (sshd)"
  std::string command_prefix =
      {};  ///< what comes before "ip" to act there, such as "ip netns exec blue "; empty in our own
  std::vector<NetworkLink> links = {};
  std::vector<LinkAddress> addresses = {};
  std::vector<LinkRoute> routes = {};
};

struct NetworkState {
  std::vector<NetworkNamespace> namespaces = {};  ///< our own comes first
  std::vector<std::string> unseen = {};           ///< names of namespaces that could not be entered
};

/// Tells what the host does with its network interfaces.
class POLLUX_API HostNetwork {
 public:
  HostNetwork() = default;
  HostNetwork(const HostNetwork&) = delete;
  HostNetwork& operator=(const HostNetwork&) = delete;
  virtual ~HostNetwork() = default;

  /// Takes a snapshot. It fails only if the caller's own namespace cannot be read.
  [[nodiscard]] virtual Result<NetworkState> read() const = 0;
};

/// Asks the kernel by rtnetlink in every network namespace it can find: those of processes, and those that are mounted,
/// as `ip netns` and container engines do. A thread of its own visits them, so the caller's namespace never changes.
/// Namespaces other than the caller's need CAP_SYS_ADMIN. Thread rule: any.
class POLLUX_API KernelNetwork final : public HostNetwork {
 public:
  explicit KernelNetwork(SystemPaths paths = {}) : paths_(std::move(paths)) {}
  [[nodiscard]] Result<NetworkState> read() const override;

 private:
  SystemPaths paths_;
};

}  // namespace pollux::pci
