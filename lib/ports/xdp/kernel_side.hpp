// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/placed_settings.hpp"
#include "ports/xdp/bpf/hints.hpp"

namespace pollux::xdp {

/// Where the kernel runs an XDP program.
enum class Attach : std::uint8_t {
  native,   ///< in the driver
  generic,  ///< in the stack, for drivers without XDP; each frame has been copied to a socket buffer before
};

/// Of a socket's rings of frames; those of addresses have as many, and at least one. Powers of two, or 0: no ring.
struct RingSlots {
  std::uint32_t rx = 0;
  std::uint32_t tx = 0;
};
/// Of a port.
inline constexpr std::uint32_t kMaxSlots = 4096;

/// What a port needs privileges for: sockets, maps, and the XDP program of an interface, which gives the frames that
/// flow rules take to the socket in their queue's slot of a map, and all others to the kernel's stack. The process does
/// it itself (LocalSide), or asks a helper (HelperClient). All ends when the object is destroyed or the process dies.
class KernelSide {
 public:
  KernelSide() = default;
  KernelSide(const KernelSide&) = delete;
  KernelSide& operator=(const KernelSide&) = delete;
  virtual ~KernelSide() = default;

  /// Whether the kernel moves frames over several buffers (Linux 6.6), found by asking it.
  [[nodiscard]] virtual bool has_chains() const noexcept = 0;
  /// Hint flags: what the interface's driver tells about received frames.
  [[nodiscard]] virtual std::uint16_t hints() const = 0;

  // Errors of all: permission_denied, not_supported, io_error.

  /// An AF_XDP socket, whose rings need not have these slots yet: Socket makes them. `busy_poll`: system calls of it
  /// run the queue in the kernel, for at most as many microseconds, and interrupts do not while such calls come: Linux,
  /// Documentation/networking/napi.rst, "Busy polling".
  [[nodiscard]] virtual Result<FileDescriptor> make_socket(std::optional<std::uint32_t> busy_poll, RingSlots slots) = 0;
  /// The map for RuleCounters.
  [[nodiscard]] virtual Result<FileDescriptor> make_counters() = 0;
  /// Loads a program with these rules, after `make_counters`. Returns its map of sockets (set_socket). It puts a
  /// HintRecord with the hints in front of each frame that it takes, also after `replace`, if there are any; then it
  /// can be attached in the driver only. `chains`: it gets frames in several buffers in the stack, too, not only in the
  /// driver.
  [[nodiscard]] virtual Result<FileDescriptor> load(const std::vector<PlacedRule>& rules, std::uint16_t hints,
                                                    bool chains) = 0;
  /// Attaches it. Returns 0 or errno.
  [[nodiscard]] virtual int attach(Attach where) = 0;
  /// Exchanges the rules of the attached program: each frame meets either the old ones or the new ones. After an error
  /// the old ones are in force.
  [[nodiscard]] virtual Result<void> replace(const std::vector<PlacedRule>& rules) = 0;
  virtual void detach() noexcept = 0;

  /// What another process takes over: the descriptors stay this object's. nullopt: none can.
  struct Held {
    int link, sockets, counters;
  };
  [[nodiscard]] virtual std::optional<Held> held() const noexcept { return std::nullopt; }
  /// What this process takes over, in place of `make_counters`, `load` and `attach`.
  struct Taken {
    FileDescriptor link, sockets, counters;
    std::vector<PlacedRule> rules;
    std::uint16_t hints;
    bool takes_chains;
  };
  [[nodiscard]] virtual Result<void> take(Taken taken);
  /// Forgets the program, and leaves it attached.
  virtual void leave() noexcept {}

  /// Lets the interface receive frames for `mac`, for all addresses or for all groups, until the next call or the end.
  [[nodiscard]] virtual Result<void> join(const MacAddress& mac, bool promiscuous, bool all_multicast) = 0;
  /// The XDP program that is attached to the interface; empty if there is none. See attached_program.
  [[nodiscard]] virtual std::string other_program() = 0;
  /// The interface that has a default route over this one, if rules would take what the host needs there; otherwise
  /// empty. See spares_host.
  [[nodiscard]] virtual std::string route_at_risk(const std::vector<PlacedRule>& rules) = 0;
};

/// Frames of `queue` that the rules take go to `socket` from now on. Returns 0 or errno.
[[nodiscard]] int set_socket(int map, std::uint16_t queue, int socket);

}  // namespace pollux::xdp
