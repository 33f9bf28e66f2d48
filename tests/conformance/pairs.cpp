// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/pairs.hpp"

#include "conformance/own_network.hpp"
#include "own_driver/card.hpp"
#include "own_driver/driver.hpp"
#include "pollux/open.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ostream>
#include <string_view>

namespace pollux::conformance {
namespace {

constexpr Traits kCard{.has_rss = true, .forward_paths = true};
/// An in-process card. No frame on QEMU's wire has a check sequence, and QEMU's card makes IP fragments of a long UDP
/// packet.
constexpr Traits kInProcess = [] {
  Traits traits = kCard;
  traits.udp_segments = true;
  traits.own_fcs = true;
  return traits;
}();
/// In-process cards that are rows of the igb driver, too. Their clocks deviate by less (TIMINCA has 31 bits).
constexpr Traits kI350 = [] {
  Traits traits = kInProcess;
  traits.pools_of_two = traits.packet_buffers = false;
  traits.queues = 8;
  traits.clock_deviation = 6e7;
  return traits;
}();
constexpr Traits kI210 = [] {
  Traits traits = kI350;
  traits.pools = traits.pools_exchange = false;
  traits.queues = 4;
  return traits;
}();
constexpr Traits kI211 = [] {
  Traits traits = kI210;
  traits.several_queues = false;
  traits.two_queues = true;
  traits.queues = 2;
  return traits;
}();
/// A virtual function of a card whose physical function the kernel drives. QEMU's card copies a broadcast to all its
/// functions, including the sender, and does not implement VMOLR.MPME (hw/net/igb_core.c, igb_receive_assign).
constexpr Traits kFunction{.promiscuous = false,
                           .all_multicast = false,
                           .receives_own_broadcasts = true,
                           .waits_when_full = false,
                           .registers = 20,
                           .several_queues = false,
                           .card_receive = false,
                           .forward_paths = true};
constexpr Traits kRing{.has_backpressure = true,
                       .drops_when_exhausted = false,
                       .is_zero_copy = true,
                       .registers = 0,
                       .checks_fill = false,
                       .card_receive = false};
constexpr Traits kNull{.delivers = false,
                       .bidirectional = false,
                       .filters = false,
                       .drops_when_exhausted = false,
                       .has_carrier = false,
                       .registers = 0,
                       .checks_fill = false,
                       .card_receive = false};
constexpr Traits kPcap{.bidirectional = false,
                       .by_file = true,
                       .filters = false,
                       .drops_when_exhausted = false,
                       .has_carrier = false,
                       .registers = 0,
                       .several_queues = false,
                       .checks_fill = false,
                       .card_receive = false};
constexpr Traits kTap{.drops_when_exhausted = false,
                      .has_carrier = false,
                      .registers = 0,
                      .needs_relay = true,
                      .several_queues = false,
                      .checks_fill = false,
                      .card_receive = false};
/// The frames of an interface of the kernel. If a queue is not polled, the kernel drops what its ring has no room for.
constexpr Traits kXdp{.has_carrier = false, .waits_when_full = false, .registers = 0, .card_receive = false};

/// The invented card of examples/own_driver. It has no filter, and no rings.
constexpr Traits kOwnDriver{.filters = false,
                            .drops_when_exhausted = true,
                            .registers = 0,
                            .several_queues = false,
                            .checks_fill = false,
                            .card_receive = false};

/// QEMU's 82574, with two queues in each direction. Its second message of a vector comes once more, 128 us later (QEMU,
/// e1000e_core.c, e1000e_intrmgr_on_msix_throttling_timer).
constexpr Traits kE1000e{.several_queues = false,
                         .two_queues = true,
                         .restarts_receive = false,
                         .has_rss = true,
                         .repeats_messages = true,
                         .card_receive = false};

/// QEMU's vmxnet3, which is up whatever the other end does and receives on its first queue alone.
constexpr Traits kVmxnet3{.has_carrier = false,
                          .waits_when_full = false,
                          .registers = 20,
                          .restarts_one_queue = false,
                          .ignores_rss = true,
                          .card_receive = false,
                          .bad_checksums = false,
                          .good_checksums = false};

/// A device of virtio-net on QEMU's hub, which is up whatever the other end does.
constexpr Traits kVirtio{
    .has_carrier = false, .registers = 20, .several_queues = false, .card_receive = false, .bad_checksums = false};
/// The in-process device of virtio-net.
constexpr Traits kVirtioInProcess = [] {
  Traits traits = kVirtio;
  traits.several_queues = traits.has_rss = traits.udp_segments = true;
  return traits;
}();

/// Adds the driver and the card as the example's program does.
void add_own_driver(Context& context) {
  EXPECT_TRUE(add_driver(context, own_driver::driver()));
  EXPECT_TRUE(add_card_model(
      context, {.name = "toy", .make = [](unsigned number) { return std::make_unique<own_driver::Card>(number); }}));
}

/// One card, whose PHY or MAC returns what it sends. Its link does not depend on another port.
constexpr Traits looping(Traits traits, LoopbackMode mode) {
  traits.bidirectional = false;
  traits.has_carrier = false;
  traits.card_receive = false;  // these cases set up sender and receiver differently
  traits.forward_paths = false;
  traits.loopback = mode;
  return traits;
}

std::string scratch_file() {
  const char* const folder = std::getenv("TMPDIR");
  return fmt::format("{}/pollux-conformance-{}.pcap", folder != nullptr ? folder : "/tmp", ::getpid());
}

/// The reason why TAP interfaces cannot be created; nullopt if they can.
std::optional<std::string> tap_obstacle() {
  auto obstacle = own_network_obstacle();
  if (obstacle) *obstacle += "; or leave the pair out with POLLUX_CONFORMANCE_SKIP=tap";
  return obstacle;
}

/// The reason why AF_XDP cannot be tested; nullopt if it can.
std::optional<std::string> no_xdp() {
  auto obstacle = xdp_obstacle();
  if (obstacle) *obstacle += "; or leave the pair out with POLLUX_CONFORMANCE_SKIP=xdp";
  return obstacle;
}

void make_interfaces(Context& /*context*/) {
  enter_own_network();
  make_veth_pair("plxv0", "plxv1");
}

std::vector<Pair> default_pairs() {
  const std::string file = scratch_file();
  return {{.name = "sim", .left = "sim:0", .right = "sim:1", .traits = kInProcess, .obstacle = {}},
          {.name = "loopback",
           .left = "sim:0",
           .right = {},
           .traits = looping(kInProcess, LoopbackMode::phy),
           .obstacle = {}},
          {.name = "i350", .left = "sim:0?card=i350", .right = "sim:1?card=i350", .traits = kI350, .obstacle = {}},
          {.name = "i210", .left = "sim:0?card=i210", .right = "sim:1?card=i210", .traits = kI210, .obstacle = {}},
          {.name = "i211", .left = "sim:0?card=i211", .right = "sim:1?card=i211", .traits = kI211, .obstacle = {}},
          {.name = "qtest",
           .left = "qtest:0?timeout=20000",
           .right = "qtest:1?timeout=20000",
           .traits = kCard,
           .obstacle = {}},
          {.name = "e1000e",
           .left = "qtest:6?card=82574,timeout=20000",
           .right = "qtest:7?card=82574,timeout=20000",
           .traits = kE1000e,
           .obstacle = {}},
          {.name = "vmxnet3",
           .left = "qtest:8?card=vmxnet3,timeout=20000",
           .right = "qtest:9?card=vmxnet3,timeout=20000",
           .traits = kVmxnet3,
           .obstacle = {}},
          {.name = "virtio",
           .left = "qtest:2?card=virtio-net,timeout=20000",
           .right = "qtest:3?card=virtio-net,timeout=20000",
           .traits = kVirtio,
           .obstacle = {}},
          {.name = "virtio_packed",
           .left = "qtest:4?card=virtio-net,properties=packed:on,timeout=20000",
           .right = "qtest:5?card=virtio-net,properties=packed:on,timeout=20000",
           .traits = kVirtio,
           .obstacle = {}},
          {.name = "sim_virtio",
           .left = "sim:0?card=virtio-net+plain-wire+no-ring-packed",
           .right = "sim:1?card=virtio-net+plain-wire+no-ring-packed",
           .traits = kVirtioInProcess,
           .obstacle = {}},
          {.name = "sim_virtio_packed",
           .left = "sim:0?card=virtio-net+plain-wire",
           .right = "sim:1?card=virtio-net+plain-wire",
           .traits = kVirtioInProcess,
           .obstacle = {}},
          {.name = "ring", .left = "ring:c:0", .right = "ring:c:1", .traits = kRing, .obstacle = {}},
          {.name = "null", .left = "null:", .right = "null:?rx=64", .traits = kNull, .obstacle = {}},
          {.name = "pcap", .left = "pcap:out=" + file, .right = "pcap:in=" + file, .traits = kPcap, .obstacle = {}},
          {.name = "own_driver",
           .left = "sim:0?card=toy",
           .right = "sim:1?card=toy",
           .traits = kOwnDriver,
           .obstacle = {},
           .prepare = add_own_driver},
          {.name = "tap", .left = "tap:plxc0", .right = "tap:plxc1", .traits = kTap, .obstacle = tap_obstacle()},
          {.name = "xdp",
           .left = "xdp:plxv0?rule=all",
           .right = "xdp:plxv1?rule=all",
           .traits = kXdp,
           .obstacle = no_xdp(),
           .prepare = make_interfaces}};
}

/// The traits of a port that the user chose, by the scheme of its URI. A virtual function and a virtio device have the
/// same scheme as any card, so POLLUX_CONFORMANCE_TRAITS=function, =e1000e, =vmxnet3, =virtio, =i350, =i210 or =i211
/// selects their traits.
Traits traits_of(const std::string& uri) {
  const char* const traits = std::getenv("POLLUX_CONFORMANCE_TRAITS");
  for (const auto& [name, kind] : {std::pair{"function", kFunction},
                                   {"e1000e", kE1000e},
                                   {"vmxnet3", kVmxnet3},
                                   {"virtio", kVirtio},
                                   {"i350", kI350},
                                   {"i210", kI210},
                                   {"i211", kI211}}) {
    if (traits != nullptr && std::string_view(traits) == name) return kind;
  }
  if (uri.starts_with("ring:")) return kRing;
  if (uri.starts_with("tap:")) return kTap;
  if (uri.starts_with("xdp:")) return kXdp;
  if (uri.starts_with("sim:")) return kInProcess;
  return kCard;
}

/// All pairs except those that POLLUX_CONFORMANCE_SKIP names, such as "tap,qtest". Prints each pair that is left out.
std::vector<Pair> chosen() {
  std::vector<Pair> all = default_pairs();
  const char* const skip = std::getenv("POLLUX_CONFORMANCE_SKIP");
  if (skip == nullptr) return all;
  const std::string names = fmt::format(",{},", skip);
  std::erase_if(all, [&](const Pair& pair) {
    if (names.find(fmt::format(",{},", pair.name)) == std::string::npos) return false;
    fmt::print(stderr, "conformance: LEFT OUT by POLLUX_CONFORMANCE_SKIP: {}\n", pair.name);
    return true;
  });
  return all;
}

/// The loopback of the one port that the user chose; nullopt if it is not a known one.
std::optional<LoopbackMode> chosen_loopback() {
  const char* const text = std::getenv("POLLUX_CONFORMANCE_LOOPBACK");
  if (text == nullptr || *text == '\0') return LoopbackMode::none;
  if (std::string_view(text) == "phy") return LoopbackMode::phy;
  if (std::string_view(text) == "mac") return LoopbackMode::mac;
  return std::nullopt;
}

/// The pair that `text`, one or two URIs, describes.
Pair given_pair(const std::string& text) {
  const auto comma = text.find(',');
  const bool one = comma == std::string::npos;
  Pair pair{.name = "given",
            .left = text.substr(0, comma),
            .right = one ? std::string() : text.substr(comma + 1),
            .traits = traits_of(text),
            .obstacle = {}};
  const auto loopback = chosen_loopback();
  if (!loopback) {
    pair.obstacle = "POLLUX_CONFORMANCE_LOOPBACK is neither 'phy' nor 'mac'";
  } else if (text.empty() || one != (*loopback != LoopbackMode::none)) {
    pair.obstacle = fmt::format(
        "POLLUX_CONFORMANCE_PORTS = '{}' is neither two URIs with a comma between them nor, with "
        "POLLUX_CONFORMANCE_LOOPBACK, one URI",
        text);
  } else if (one) {
    pair.traits = looping(pair.traits, *loopback);
  }
  return pair;
}

std::vector<Pair> find_pairs() {
  const char* wanted = std::getenv("POLLUX_CONFORMANCE_PORTS");
  if (wanted == nullptr || *wanted == '\0') {
    if (chosen_loopback() == LoopbackMode::none) return chosen();
    wanted = "";  // a loopback of no port: given_pair says what is wrong
  }
  return {given_pair(wanted)};
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Pair& pair) {
  return out << pair.left << (pair.traits.two_ports() ? " and " + pair.right : " in loopback");
}

std::vector<Pair> built_in_pairs() { return default_pairs(); }

std::vector<Traits> traits_of_given_pairs() { return {kFunction}; }

const std::vector<Pair>& pairs() {
  static const std::vector<Pair> all = find_pairs();
  return all;
}

}  // namespace pollux::conformance
