// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pollux/base/error.hpp"
#include "pollux/host/interface_backup.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::host {

/// A network interface; rtnetlink calls it a link. Indexes are unique only within a namespace.
struct NetworkLink {
  /// A `lower_namespace` that this process cannot see, or that leads to no hardware and not to the process's own.
  static constexpr std::uint64_t kUnknownNamespace = UINT64_MAX;

  std::uint32_t index = 0;            ///< from 1 on
  std::string name = {};              ///< such as "eth0"
  std::string kind = {};              ///< "vlan", "bridge", "bond", ...; empty for hardware
  std::string parent_device = {};     ///< name of its bus device, such as "0000:01:00.0"; empty: none or unknown
  std::uint32_t master = 0;           ///< index of the link of which it is a member; 0: none
  std::uint32_t lower = 0;            ///< index of the link below it, such as that of a VLAN; 0: none
  std::uint64_t lower_namespace = 0;  ///< id of the namespace of `lower`; 0: the same one
};

/// An address of an interface.
struct LinkAddress {
  std::uint32_t link = 0;   ///< index of the interface
  IpPrefix prefix = {};     ///< the address, and the length of its network's prefix
  bool host_scope = false;  ///< valid only inside this machine
};

/// A route of the kernel's tables through an interface.
struct LinkRoute {
  std::uint32_t link = 0;     ///< a route with several next hops has one entry for each
  IpPrefix destination = {};  ///< length 0: the default route
  bool has_gateway = false;   ///< false: what it leads to is on the link
  bool unicast = true;        ///< false: a local, broadcast, anycast or multicast entry of the kernel
  std::uint32_t table = 0;    ///< its number, such as 254 for the main table
};

/// A network namespace, and what is in it.
struct NetworkNamespace {
  std::uint64_t id = 0;   ///< inode of its nsfs file
  std::string name = {};  ///< description: "network namespace blue", "the network namespace of process 42 (sshd)"
  /// The prefix that runs an "ip" command in it, such as "ip netns exec blue "; empty for the caller's namespace.
  std::string command_prefix = {};
  /// In no particular order.
  ///@{
  std::vector<NetworkLink> links = {};
  std::vector<LinkAddress> addresses = {};
  std::vector<LinkRoute> routes = {};
  ///@}
  std::vector<std::string> pppoe = {};  ///< names of the links that carry PPPoE sessions of the kernel
  /// The local address of each established TCP connection. Read where a link is hardware, or stacked on such a link,
  /// and of the caller's namespace and those stacked on it.
  std::vector<IpPrefix> connections = {};
};

/// All namespaces at one time, as far as this process may see them.
struct NetworkState {
  std::vector<NetworkNamespace> namespaces = {};  ///< the caller's namespace is the first
  std::vector<std::string> unseen = {};           ///< names of namespaces that could not be entered
  /// The address of this machine to which the user of this process is connected by ssh.
  std::optional<IpPrefix> ssh_session = {};
};

/// Reads the configuration of the host's network interfaces, and saves and restores that of one.
class HostNetwork {
 public:
  HostNetwork() = default;
  HostNetwork(const HostNetwork&) = delete;
  HostNetwork& operator=(const HostNetwork&) = delete;
  virtual ~HostNetwork() = default;

  /// Takes a snapshot. Fails only if the caller's own namespace cannot be read.
  [[nodiscard]] virtual Result<NetworkState> read() const = 0;
  /// As `back_up_interface`.
  [[nodiscard]] virtual Result<InterfaceBackup> save(const std::string& interface) const = 0;
  /// As `restore_interface`.
  [[nodiscard]] virtual Result<void> restore(const InterfaceBackup& backup, const std::string& interface) const = 0;
};

/// Reads the state of all network namespaces by rtnetlink: those of processes, and those that `ip netns` and container
/// engines mount. A separate thread enters the namespaces, so the caller's namespace does not change. Namespaces other
/// than the caller's need CAP_SYS_ADMIN. Thread rule: any thread.
class KernelNetwork final : public HostNetwork {
 public:
  /// `paths` has the mount points; the default is the machine's.
  explicit KernelNetwork(pci::SystemPaths paths = {}) : paths_(std::move(paths)) {}
  [[nodiscard]] Result<NetworkState> read() const override;
  [[nodiscard]] Result<InterfaceBackup> save(const std::string& interface) const override;
  [[nodiscard]] Result<void> restore(const InterfaceBackup& backup, const std::string& interface) const override;

 private:
  pci::SystemPaths paths_;
};

}  // namespace pollux::host
