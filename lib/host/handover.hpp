// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/address.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::host {

/// A user account of this machine.
struct User {
  std::string name;       ///< of the account, such as "alice"
  std::uint32_t uid = 0;  ///< 0: root, which no limit on locked memory binds
  std::uint32_t gid = 0;  ///< its primary group
};

/// Finds a user by name in the machine's user database. Error: `not_found` if there is none.
[[nodiscard]] Result<User> find_user(const std::string& name);

/// Checks, before a device is bound, that `hand_group_to` can work afterwards. Errors: `not_supported` (without an
/// IOMMU only root can open a device), `not_found` (no such device).
[[nodiscard]] Result<void> check_hand_over(const pci::SystemPaths& paths, pci::Address address, const User& user);

/// Makes `user` the owner of /dev/vfio/GROUP and of the device files of the group's devices (/dev/vfio/devices/vfioN,
/// Linux 6.6), so that the user's processes can open them. Returns the files. The change lasts until the devices leave
/// VFIO. The files appear shortly after the bind: the call waits for the group's file on `clock`, at most 2 s.
/// Errors: `timeout`, `permission_denied`, `io_error`, `not_supported` (without an IOMMU only root can open a device).
[[nodiscard]] Result<std::vector<std::filesystem::path>> hand_group_to(const pci::SystemPaths& paths, Clock& clock,
                                                                       std::uint32_t group, const User& user);

/// The memory that a process will map for DMA. VFIO pins it and counts it against RLIMIT_MEMLOCK, including huge pages.
struct MemlockDemand {
  std::uint64_t ports = 1;                 ///< that the process opens
  std::uint64_t mbufs_per_port = 16384;    ///< of the pools that the process makes
  std::uint64_t bytes_per_mbuf = 4096;     ///< an ordinary page for each; in huge pages it is 37 cache lines, 2,368
  std::uint64_t rings_per_port = 32;       ///< 16 receive rings, 16 transmit rings
  std::uint64_t ring_bytes = 4096 * 16;    ///< the longest ring, 16 bytes per descriptor
  std::uint64_t page_bytes = 2ULL << 20U;  ///< the size of each pool and of each port's rings is rounded up to this

  /// ports * (round_up(mbufs_per_port * bytes_per_mbuf, page_bytes) + round_up(rings_per_port * ring_bytes,
  /// page_bytes))
  [[nodiscard]] std::uint64_t bytes() const;
};

/// A text of several lines: the memlock limit that `user` needs, and how to set it in limits.conf or a systemd unit.
[[nodiscard]] std::string memlock_advice(const User& user, const MemlockDemand& demand);

}  // namespace pollux::host
