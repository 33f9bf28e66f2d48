// SPDX-License-Identifier: BSD-3-Clause
#include "doctor/interface_checks.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "doctor/checks.hpp"
#include "keeper.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/port_facts.hpp"
#include "pollux/net/settings.hpp"
#include "ports/xdp/interface.hpp"
#include "ports/xdp/links.hpp"
#include "ports/xdp/local_side.hpp"
#include "started_port.hpp"

namespace pollux::tool::doctor {
namespace {

Result<xdp::Interface> find(const Subject& subject) { return xdp::Interface::find(subject.interface); }

Finding not_known(const Error& error) { return {State::unknown, error.what, {}, error.hint}; }

// Drivers of Linux 6.18 with XDP, by the feature flags that they set (NETDEV_XDP_ACT_BASIC,
// NETDEV_XDP_ACT_XSK_ZEROCOPY).
constexpr std::array kZeroCopy{"gve",     "i40e",      "ice",     "idpf",   "igb",        "igc", "ixgbe",
                               "ixgbevf", "mlx5_core", "st_gmac", "stmmac", "virtio_net", "nfp", "netdevsim"};
constexpr std::array kNative{"bnxt_en",      "cpsw", "dpaa2-eth", "ena",         "enetc",  "hv_netvsc",
                             "lan966x",      "mana", "mlx4_en",   "mtk_soc_eth", "mvneta", "mvpp2",
                             "netsec",       "qede", "sfc",       "tun",         "veth",   "vmxnet3",
                             "xen_netfront", "fec",  "macb",      "octeontx2"};

template <std::size_t N>
bool has(const std::array<const char*, N>& names, const std::string& name) {
  return std::ranges::any_of(names, [&](const char* one) { return name == one; });
}

Finding check_interface(const Subject& subject) {
  const auto interface = find(subject);
  if (!interface) return {State::error, interface.error().what, {}, interface.error().hint};
  const std::string driver = interface->driver().empty() ? "an unknown driver" : "driver " + interface->driver();
  if (interface->link().up) return {State::ok, fmt::format("{}, with a link", driver)};
  return {State::warning, fmt::format("{}, without a link", driver),
          Remedy{fmt::format("ip link set dev {} up", shell_quoted(subject.interface))}, "if it is up, see the cable"};
}

bool has_chains() {
  const auto loopback = xdp::Interface::find("lo");
  return loopback && xdp::LocalSide("lo", *loopback).has_chains();
}

Finding check_kernel(const Subject&) {
  const FileDescriptor made(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!made && errno == EAFNOSUPPORT) {
    return {State::error, "the kernel has no AF_XDP sockets", {}, "boot a kernel with CONFIG_XDP_SOCKETS=y"};
  }
  if (!made) return {State::ok, "AF_XDP sockets; what else it has is not visible without CAP_NET_RAW"};
  if (has_chains()) return {State::ok, "AF_XDP sockets, frames over several buffers"};
  return {State::ok, "AF_XDP sockets, frames of one buffer (the MTU is at most 3,498)"};
}

/// The capabilities of this thread that are in effect; nullopt if they cannot be read.
std::optional<std::uint64_t> own_capabilities() {
  std::ifstream status("/proc/thread-self/status");
  for (std::string word; status >> word;) {
    std::uint64_t bits = 0;
    if (word == "CapEff:" && status >> std::hex >> bits) return bits;
  }
  return std::nullopt;
}

Finding check_rights(const Subject& subject) {
  // CAP_PERFMON and CAP_BPF, Linux 5.8; missing in older headers
  constexpr std::uint64_t kPerfmon = 38;
  constexpr std::uint64_t kBpf = 39;
  constexpr std::array<std::pair<std::uint64_t, const char*>, 4> kWanted{
      {{CAP_NET_RAW, "CAP_NET_RAW"}, {CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {kBpf, "CAP_BPF"}, {kPerfmon, "CAP_PERFMON"}}};
  constexpr const char* kAll = "CAP_NET_RAW, CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON";
  const Remedy remedy{"setcap cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM"};
  if (subject.caller.uid == 0 && ::geteuid() != 0) return {State::ok, "root"};
  const auto own = own_capabilities();
  if (subject.caller.uid != ::geteuid() || !own) {
    return {State::warning, fmt::format("{} needs {}", subject.caller.name, kAll), remedy};
  }
  std::string missing;
  for (const auto& [bit, name] : kWanted) {
    if ((*own >> bit & 1) == 0) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (missing.empty()) return {State::ok, kAll};
  return {State::error, "missing: " + missing, remedy};
}

Finding check_program(const Subject& subject) {
  const auto interface = find(subject);
  if (!interface) return not_known(interface.error());
  const std::string other = xdp::attached_program(interface->index());
  if (other.empty()) return {State::ok, "no XDP program is attached"};
  const std::string held = fmt::format("xdp/{}/", subject.interface);
  for (const KeptDescriptor& one : kept_at(kDefaultKeeper).value_or(std::vector<KeptDescriptor>())) {
    if (!one.name.starts_with(held) || one.runs) continue;
    return {State::error, fmt::format("a keeper holds it for process {}, which has ended", one.process),
            Remedy{fmt::format("pollux keeper drop {}", shell_quoted(held))},
            "start that program again, which continues; the command ends the hold"};
  }
  return {State::error, "another XDP program is attached: " + other,
          Remedy{fmt::format("ip link set dev {} xdp off", shell_quoted(subject.interface))},
          "stop its owner; the command is for a program that has none"};
}

std::uint32_t default_mtu() { return Settings{}.mtu; }

Finding check_mtu(const Subject& subject) {
  const auto interface = find(subject);
  if (!interface) return not_known(interface.error());
  const auto mtu = interface->mtu();
  if (!mtu) return not_known(mtu.error());
  if (*mtu < default_mtu()) {
    return {State::warning,
            fmt::format("{} bytes, which is less than the {} that programs ask for", *mtu, default_mtu()),
            {},
            fmt::format("open it as {}, or give the program that MTU",
                        shell_quoted(fmt::format("xdp:{}?set.mtu={}", subject.interface, *mtu)))};
  }
  constexpr std::uint32_t kMaxMtuOfAPage = 3498;
  if (*mtu <= kMaxMtuOfAPage) return {State::ok, fmt::format("{} bytes", *mtu)};
  const std::string found = fmt::format("{} bytes: a frame may need several buffers", *mtu);
  if (::geteuid() != 0 || has_chains()) return {State::ok, found + ", which drivers may refuse"};
  return {State::error, found + ", which this kernel does not have",
          Remedy{fmt::format("ip link set dev {} mtu {}", shell_quoted(subject.interface), kMaxMtuOfAPage)}};
}

Finding check_queues(const Subject& subject) {
  const auto interface = find(subject);
  if (!interface) return not_known(interface.error());
  if (interface->queues() == 1) return {State::ok, "one"};
  return {
      State::warning,
      fmt::format("{}: the kernel gets the frames of queues that a program does not configure", interface->queues()),
      Remedy{fmt::format("ethtool -L {} combined 1", shell_quoted(subject.interface))},
      fmt::format("or use {} queues (--queues); some drivers count them as rx 1 tx 1", interface->queues())};
}

/// Large receive offload merges frames before the program sees them; drivers refuse the program with it.
Finding check_offloads(const Subject& subject) {
  const FileDescriptor control(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  subject.interface.copy(request.ifr_name, sizeof request.ifr_name - 1);
  ethtool_value flags{};
  flags.cmd = ETHTOOL_GFLAGS;
  request.ifr_data = reinterpret_cast<char*>(&flags);
  if (::ioctl(control.get(), SIOCETHTOOL, &request) != 0) return {State::unknown, "the driver does not say"};
  if ((flags.data & ETH_FLAG_RXVLAN) != 0 && (flags.data & ETH_FLAG_LRO) == 0) {
    return {State::warning, "the card may remove VLAN tags, which rules then do not find",
            Remedy{fmt::format("ethtool -K {} rxvlan off", shell_quoted(subject.interface))}};
  }
  if ((flags.data & ETH_FLAG_LRO) == 0) return {State::ok, "none that is in the way"};
  return {State::error, "large receive offload is on",
          Remedy{fmt::format("ethtool -K {} lro off", shell_quoted(subject.interface))}};
}

/// What a start says.
Finding mode_of_a_start(const Subject& subject) {
  const auto interface = find(subject);
  if (!interface) return not_known(interface.error());
  const std::uint32_t mtu = std::min(interface->mtu().value_or(default_mtu()), default_mtu());
  auto port = subject.environment.open_port(fmt::format("xdp:{}?rule=none,set.mtu={}", subject.interface, mtu));
  if (!port) return {State::error, port.error().what, {}, port.error().hint};
  auto pool = Mempool::create(subject.environment.context, {.count = 256, .name = "doctor"});
  if (!pool) return not_known(pool.error());
  if (const auto started = start_port(*port, *pool); !started) {
    return {State::error, started.error().what, {}, started.error().hint};
  }
  std::string mode;
  if (const auto known = port->capability<PortFacts>()) {
    for (const PortFact& fact : known->facts()) {
      if (fact.name == "mode") mode = fact.value;
    }
  }
  if (const auto closed = port->close(); !closed) return not_known(closed.error());
  return {mode.ends_with("zero copy") ? State::ok : State::warning, mode};
}

Finding check_mode(const Subject& subject) {
  if (subject.start && subject.environment.open_port) return mode_of_a_start(subject);
  const auto interface = find(subject);
  if (!interface) return not_known(interface.error());
  const std::string& driver = interface->driver();
  const std::string advice = "--start finds it out: it attaches a program that takes no frames, for a moment";
  if (has(kZeroCopy, driver))
    return {State::ok, "zero copy, with huge pages and a kernel that is new enough", {}, advice};
  if (has(kNative, driver)) return {State::warning, "native, and the kernel copies each frame", {}, advice};
  return {
      State::warning, "probably generic: the program runs in the stack, and the kernel copies each frame", {}, advice};
}

constexpr std::array kInterfaceChecks{
    Check{"interface", Scope::port, "without a link no frame is sent or received", &check_interface},
    Check{"kernel", Scope::machine, "frames are exchanged with the kernel by AF_XDP", &check_kernel},
    Check{"rights", Scope::machine, "sockets, maps and the program need these capabilities", &check_rights},
    Check{"huge-pages", Scope::machine, "zero copy needs them", &check_huge_pages},
    Check{"memlock", Scope::machine, "the kernel pins the memory for frames and counts it against this limit",
          &check_memlock},
    Check{"program", Scope::port, "an interface has one XDP program", &check_program},
    Check{"mtu", Scope::port, "a port needs an interface whose MTU is no smaller, and buffers that its frames fit",
          &check_mtu},
    Check{"offloads", Scope::port, "the program wants frames as they are on the wire", &check_offloads},
    Check{"queues", Scope::port, "a program takes the frames of the queues that it configures", &check_queues},
    Check{"mode", Scope::port, "each copy costs time", &check_mode},
    Check{"cpu-frequency", Scope::machine, "a core that changes its frequency answers late and measures differently",
          &check_governor},
};

}  // namespace

std::span<const Check> interface_checks() { return kInterfaceChecks; }

}  // namespace pollux::tool::doctor
