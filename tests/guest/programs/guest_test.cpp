// SPDX-License-Identifier: BSD-3-Clause
// Tests that run in the guest, because they need the kernel's VFIO and no example program shows their result.
// POLLUX_GUEST_PORTS names two ports on one wire, separated by a comma.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "hw/intel/igb/registers.hpp"
#include "open/registry.hpp"
#include "pollux/device/register.hpp"
#include "pollux/pollux.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

namespace reg = hw::igb;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct PortNames {
  std::string first;
  std::string second;
};

PortNames port_names() {
  const char* const text = std::getenv("POLLUX_GUEST_PORTS");
  const std::string all = text == nullptr ? "" : text;
  const auto comma = all.find(',');
  EXPECT_NE(comma, std::string::npos) << "POLLUX_GUEST_PORTS must name two ports";
  return {all.substr(0, comma), comma == std::string::npos ? "" : all.substr(comma + 1)};
}

/// Whether the descriptor becomes readable within the limit.
bool readable(int descriptor, milliseconds limit) {
  pollfd query{descriptor, POLLIN, 0};
  return ::poll(&query, 1, static_cast<int>(limit.count())) == 1;
}

std::uint64_t take(int event) {
  std::uint64_t count = 0;
  return ::read(event, &count, sizeof count) == sizeof count ? count : 0;
}

TEST(Interrupts, EachVectorSignalsItsOwnEvent) {
  Context context;
  auto device = open_device(context, port_names().first);
  ASSERT_TRUE(device) << device.error().message();
  const unsigned vectors = (*device)->interrupt_vectors();
  ASSERT_GE(vectors, 2U);
  const auto bar = (*device)->bar(0);
  ASSERT_TRUE(bar) << bar.error().message();
  const reg::Registers regs(*bar);
  // Two rounds: interrupts can be enabled again after they were disabled.
  for (int round = 0; round < 2; ++round) {
    const auto events = (*device)->enable_interrupts(vectors);
    ASSERT_TRUE(events) << events.error().message();
    ASSERT_EQ(events->size(), vectors);
    // An MSI-X message is a write by the card, so it needs bus mastering.
    ASSERT_TRUE((*device)->set_bus_master(true));
    regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE | reg::GPIE::NSICR | reg::GPIE::EIAME);
    regs.write<reg::EIAC>(reg::EIAC::VECTORS((1U << vectors) - 1));
    regs.write<reg::EIMS>(reg::EIMS::VECTORS((1U << vectors) - 1));
    for (unsigned vector = 0; vector < vectors; ++vector) {
      regs.write<reg::EICS>(reg::EICS::VECTORS(1U << vector));
      EXPECT_TRUE(readable((*events)[vector], seconds(5))) << "vector " << vector;
      EXPECT_EQ(take((*events)[vector]), 1u);
      for (const int other : *events) EXPECT_FALSE(readable(other, milliseconds(0))) << "with vector " << vector;
      regs.write<reg::EIMS>(reg::EIMS::VECTORS((1U << vectors) - 1));
    }
    // A masked interrupt stays pending until it is unmasked.
    regs.write<reg::EIMC>(reg::EIMC::VECTORS(2));
    regs.write<reg::EICS>(reg::EICS::VECTORS(2));
    EXPECT_FALSE(readable((*events)[1], milliseconds(200)));
    regs.write<reg::EIMS>(reg::EIMS::VECTORS(2));
    EXPECT_TRUE(readable((*events)[1], seconds(5)));
    regs.write<reg::EIMC>(reg::EIMC::VECTORS((1U << vectors) - 1));
    ASSERT_TRUE((*device)->enable_interrupts(0));
  }
}

constexpr std::uint16_t kQueues = 4;
constexpr unsigned kFlows = 64;
constexpr unsigned kFramesAFlow = 8;
constexpr std::size_t kFlowAt = 26;  // the last bytes of the IPv4 source address, 14 + 12

/// Writes an IPv4 frame of 60 bytes to `to`. The flow's number is in the IP source address.
void write_frame(std::uint8_t* frame, const MacAddress& to, const MacAddress& from, std::uint16_t flow) {
  std::memset(frame, 0, 60);
  std::memcpy(frame, &to, 6);
  std::memcpy(frame + 6, &from, 6);
  frame[12] = 0x08;
  const std::array<std::uint8_t, 12> header{0x45, 0, 0, 46, 0, 0, 0, 0, 64, 253, 0, 0};
  std::memcpy(frame + 14, header.data(), header.size());
  const std::array<std::uint8_t, 8> addresses{
      10, 1, static_cast<std::uint8_t>(flow >> 8U), static_cast<std::uint8_t>(flow), 10, 2, 0, 1};
  std::memcpy(frame + 26, addresses.data(), addresses.size());
}

/// Two ports on a wire. The second port sends to the first, which has several queues.
struct RssFixture {
  Result<void> open() {
    const PortNames names = port_names();
    for (const std::string& name : {names.first, names.second}) {
      auto port = pollux::open_unconfigured(context, name);
      if (!port) return tl::unexpected(port.error());
      ports.push_back(*std::move(port));
    }
    auto made = Mempool::create(context, {.count = 8192});
    if (!made) return tl::unexpected(made.error());
    pool = *std::move(made);
    for (std::size_t i = 0; i < ports.size(); ++i) {
      Settings config{.rx = {{.pool = *pool}}};
      if (i == 0) config.rx.resize(kQueues, config.rx[0]);
      if (auto configured = test::configure_port(ports[i], config); !configured) return configured;
      if (auto started = ports[i].start(); !started) return started;
    }
    for (Port& port : ports) {
      if (auto up = port.wait_for_link(seconds(20)); !up) return tl::unexpected(up.error());
    }
    return {};
  }
  /// Sends one frame of each flow.
  void send_round() {
    for (std::uint16_t flow = 0; flow < kFlows; flow += 32) {
      Burst<32> burst;
      for (std::uint16_t i = 0; i < 32; ++i) {
        MbufPtr mbuf = pool->allocate();
        ASSERT_NE(mbuf, nullptr);
        write_frame(mbuf->append(60), ports[0].mac(), ports[1].mac(), static_cast<std::uint16_t>(flow + i));
        ASSERT_TRUE(burst.push(mbuf));
      }
      ASSERT_EQ(ports[1].tx(0).tx_burst(burst), 32u);
    }
  }
  /// Receives until `total` frames have arrived, or none has arrived for 5 seconds. Records the queue of each frame.
  void receive(unsigned total) {
    Clock& clock = context.clock();
    Duration silent_until = clock.now() + seconds(5);
    while (received < total && clock.now() < silent_until) {
      for (std::uint16_t queue = 0; queue < kQueues; ++queue) {
        Burst<32> burst;
        if (ports[0].rx(queue).rx_burst(burst) != 0) silent_until = clock.now() + seconds(5);
        for (Mbuf& mbuf : burst) note(mbuf, queue);
        burst.drop(recorded);
      }
      ports[1].tx(0).tx_done_cleanup();
    }
  }
  void note(const Mbuf& mbuf, std::uint16_t queue) {
    ++received;
    ++in_queue[queue];
    ASSERT_EQ(mbuf.length(), 60u);
    const auto flow = static_cast<unsigned>(mbuf.data()[kFlowAt + 2] << 8U | mbuf.data()[kFlowAt + 3]);
    queues_of[flow].insert(queue);
  }

  Context context;
  std::optional<Mempool> pool;
  std::vector<Port> ports;
  DropCounter recorded{"recorded"};
  unsigned received = 0;
  std::map<std::uint16_t, unsigned> in_queue;
  std::map<unsigned, std::set<std::uint16_t>> queues_of;
};

TEST(Queues, FlowsAreSpreadAndEachStaysOnItsQueue) {
  RssFixture fixture;
  const auto opened = fixture.open();
  ASSERT_TRUE(opened) << opened.error().message();
  for (unsigned round = 1; round <= kFramesAFlow; ++round) {
    ASSERT_NO_FATAL_FAILURE(fixture.send_round());
    fixture.receive(round * kFlows);
  }
  EXPECT_EQ(fixture.received, kFlows * kFramesAFlow);
  EXPECT_EQ(fixture.queues_of.size(), kFlows);
  for (const auto& [flow, queues] : fixture.queues_of) EXPECT_EQ(queues.size(), 1u) << "flow " << flow;
  EXPECT_EQ(fixture.in_queue.size(), kQueues) << "a queue received no frame";
  for (const auto& [queue, count] : fixture.in_queue) EXPECT_LT(count, fixture.received / 2) << "queue " << queue;
}

/// Writes in a child process, because a write to `unbind` waits until the device is closed.
pid_t write_in_child(const std::string& file, const std::string& text) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  const std::string command = "echo " + text + " > " + file;
  ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
  ::_exit(127);
}

std::string address_in(const std::string& uri) { return uri.substr(uri.find(':') + 1, std::strlen("0000:00:00.0")); }

std::string power_state(const std::string& address) {
  std::ifstream file("/sys/bus/pci/devices/" + address + "/power_state");
  std::string state;
  file >> state;
  return state;
}

TEST(Suspend, TheKernelPutsTheCardIntoD3hotAndRestoresItAfterwards) {
  RssFixture fixture;
  const auto opened = fixture.open();
  ASSERT_TRUE(opened) << opened.error().message();
  Port& port = fixture.ports[0];
  const std::string address = address_in(port_names().first);
  for (unsigned round = 1; round <= 2; ++round) {
    EXPECT_EQ(power_state(address), "D0");
    const auto suspended = port.suspend();
    ASSERT_TRUE(suspended) << suspended.error().message();
    EXPECT_EQ(power_state(address), "D3hot");
    // An access to a register would raise SIGBUS.
    EXPECT_TRUE(port.service());
    EXPECT_FALSE(port.extended_stats().empty());
    EXPECT_TRUE(port.capability<RegisterDump>()->registers().empty());
    EXPECT_EQ(port.change([](Settings& settings) { settings.led = LedMode::on; }).error().code, ErrorCode::bad_state);
    const auto resumed = port.resume();
    ASSERT_TRUE(resumed) << resumed.error().message();
    ASSERT_TRUE(port.wait_for_link(seconds(20)));
    fixture.send_round();
    fixture.receive(round * kFlows);
    EXPECT_EQ(fixture.received, round * kFlows);
  }
  ASSERT_TRUE(port.suspend());
  const auto closed = port.close();
  EXPECT_TRUE(closed) << closed.error().message();
}

TEST(Removal, TheHostRequestsTheDeviceByAnEventAndGetsIt) {
  const std::string uri = port_names().first;
  const std::string address = address_in(uri);
  const std::string driver = "/sys/bus/pci/drivers/vfio-pci/";
  Context context;
  auto device = open_device(context, uri);
  ASSERT_TRUE(device) << device.error().message();
  ASSERT_GE((*device)->removal_event(), 0);
  EXPECT_FALSE((*device)->removed());
  EXPECT_FALSE(readable((*device)->removal_event(), milliseconds(0)));
  const pid_t child = write_in_child(driver + "unbind", address);
  ASSERT_GT(child, 0);
  EXPECT_TRUE(readable((*device)->removal_event(), seconds(20)));
  EXPECT_TRUE((*device)->removed());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, WNOHANG), 0) << "unbind returned before the device was closed";
  device->reset();
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_FALSE(open_device(context, uri)) << "the device is no longer bound to vfio-pci";
  EXPECT_EQ(::waitpid(write_in_child(driver + "bind", address), &status, 0) > 0 && WIFEXITED(status), true);
  EXPECT_TRUE(open_device(context, uri));
}

// Only a guest can run on an emulated processor. POLLUX_GUEST_EMULATED is set if the processor is emulated.
TEST(BurstModes, BestDoesNotSelectAvx2OnAnEmulatedProcessor) {
  const bool emulated = std::getenv("POLLUX_GUEST_EMULATED") != nullptr;
  EXPECT_EQ(processor_has(BurstMode::avx2) && best_of(BurstMode::best) == BurstMode::scalar, emulated);
  EXPECT_EQ(best_of(BurstMode::avx2), BurstMode::avx2);
}

/// POLLUX_GUEST_FUNCTION names a virtual function that has an address from the host, and is not trusted.
std::string function_name() {
  const char* const text = std::getenv("POLLUX_GUEST_FUNCTION");
  return text == nullptr ? "" : text;
}

constexpr MacAddress kOtherAddress{0x02, 0xAB, 0, 0, 0, 0x01};

TEST(VirtualFunction, KeepsAnAssignedAddress) {
  Context context;
  const auto pool = Mempool::create(context, {.count = 1024});
  ASSERT_TRUE(pool) << pool.error().message();
  auto port = open(context, function_name(), {.rx = {{.pool = *pool}}});
  ASSERT_TRUE(port) << port.error().message();
  const MacAddress given = port->mac();
  const auto set = test::set_mac(*port, kOtherAddress);
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code, ErrorCode::permission_denied);
  EXPECT_NE(set.error().hint.find("trust on"), std::string::npos) << set.error().hint;
  EXPECT_EQ(port->mac(), given);
  EXPECT_EQ(port->state(), PortState::started);
}

TEST(VirtualFunction, CanSetMulticastAddressesAndVlans) {
  Context context;
  const auto pool = Mempool::create(context, {.count = 1024});
  ASSERT_TRUE(pool) << pool.error().message();
  auto port = open(context, function_name(), {.rx = {{.pool = *pool}}});
  ASSERT_TRUE(port) << port.error().message();
  const auto added = port->change(test::with_vlan(100));
  EXPECT_TRUE(added) << added.error().message();
  const auto removed = port->change(test::with_vlan(100, false));
  EXPECT_TRUE(removed) << removed.error().message();
  const std::vector<MacAddress> wanted{{0x01, 0, 0x5E, 0, 0, 1}, {0x33, 0x33, 0, 0, 0, 1}};
  const auto set = port->change([&](Settings& settings) { settings.multicast = wanted; });
  EXPECT_TRUE(set) << set.error().message();
}

}  // namespace
}  // namespace pollux
