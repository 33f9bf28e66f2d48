// SPDX-License-Identifier: BSD-3-Clause
// Receive-side scaling: hash, types, table, and how long a setting lasts.
#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

constexpr std::uint16_t kQueues = 4;  // or as many as the port has
constexpr std::uint8_t kTcp = 6, kUdp = 17, kIcmp = 1;

struct Flow {
  bool version6;
  std::uint8_t protocol;
  std::uint8_t source;
  std::uint8_t destination;
  std::uint16_t source_port;
  std::uint16_t destination_port;

  [[nodiscard]] Flow reversed() const {
    return {version6, protocol, destination, source, destination_port, source_port};
  }
};

Bytes frame_of(const Flow& flow) {
  Bytes memory(128);
  packet::Builder builder(memory);
  builder.ethernet({.destination = kBroadcast, .source = {2, 0, 0, 0, 0, 1}});
  if (flow.version6) {
    packet::Ipv6Header header{.next_header = 59};
    header.source = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, flow.source};
    header.destination = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, flow.destination};
    builder.ipv6(header);
  } else {
    packet::Ipv4Header header{.protocol = kIcmp};
    header.source = {10, 0, 0, flow.source};
    header.destination = {10, 0, 0, flow.destination};
    builder.ipv4(header);
  }
  if (flow.protocol == kTcp) {
    builder.tcp({.source_port = flow.source_port, .destination_port = flow.destination_port});
  } else if (flow.protocol == kUdp) {
    builder.udp({.source_port = flow.source_port, .destination_port = flow.destination_port});
  }
  const auto frame = builder.payload(Bytes(16, 0x5A)).finish();
  EXPECT_TRUE(frame);
  return {frame->begin(), frame->end()};
}

/// Flows over TCP, UDP and neither, over both versions of IP.
std::vector<Flow> flows() {
  std::vector<Flow> flows;
  for (std::uint8_t number = 1; number <= 8; ++number) {
    for (const bool version6 : {false, true}) {
      for (const std::uint8_t protocol : {kTcp, kUdp, kIcmp}) {
        const bool has_ports = protocol != kIcmp;
        flows.push_back({version6, protocol, number, static_cast<std::uint8_t>(number * 7 + 1),
                         static_cast<std::uint16_t>(has_ports ? 1000 + number * 13 : 0),
                         static_cast<std::uint16_t>(has_ports ? 53 + number : 0)});
      }
    }
  }
  return flows;
}

class RssSettings : public Conformance {
 protected:
  void start(const RssConfig& wanted) {
    const auto set = right().change([&](pollux::Settings& settings) { settings.rss = wanted; });
    ASSERT_TRUE(set) << set.error().message();
    pollux::Settings several = config();
    several.rx.resize(queues(), several.rx[0]);
    start_both(several, several);
  }

  [[nodiscard]] std::uint16_t queues() { return std::min(kQueues, right().info().limits.max_rx_queues); }
  [[nodiscard]] RssTypes all_types() { return {right().info().limits.rss_types}; }

  struct Arrival {
    std::uint16_t queue = 0;
    std::optional<std::uint32_t> hash;
  };
  /// Sends the frame and waits for it.
  std::optional<Arrival> arrival_of(const Flow& flow) {
    const Bytes frame = frame_of(flow);
    send(left(), {frame});
    std::optional<Arrival> arrival;
    for (int round = 0; round < 1000 && !arrival; ++round) {
      pass_time();
      for (std::uint16_t queue = 0; queue < queues(); ++queue) {
        Burst<32> burst;
        right().rx(queue).rx_burst(burst);
        for (const Mbuf& mbuf : burst) {
          if (content(mbuf) == frame) arrival = Arrival{queue, RxMetadata(mbuf).rss_hash()};
        }
        burst.drop(seen_);
      }
    }
    EXPECT_TRUE(arrival) << "a frame did not arrive";
    return arrival;
  }

  /// Expects that each flow goes where software says with this setting.
  void expect_spread(const RssConfig& rss) {
    const packet::ToeplitzHash hash(rss.key);
    for (const Flow& flow : flows()) {
      const Bytes frame = frame_of(flow);
      const auto expected = packet::rss_hash(hash, frame, packet::parse(frame), rss.types);
      const auto arrival = arrival_of(flow);
      ASSERT_TRUE(arrival);
      EXPECT_EQ(arrival->hash, expected) << "protocol " << int{flow.protocol} << (flow.version6 ? " over IPv6" : "");
      EXPECT_EQ(arrival->queue, expected ? rss.table.at(*expected % rss.table.size()) : 0);
    }
  }

  [[nodiscard]] std::vector<std::uint16_t> table(std::uint16_t first) {
    std::vector<std::uint16_t> entries;
    for (std::uint16_t entry = 0; entry < 128; ++entry) {
      entries.push_back(static_cast<std::uint16_t>((first + entry / 3) % queues()));
    }
    return entries;
  }

  DropCounter seen_{"seen"};
};

CONFORMANCE_TEST(RssSettings, ExistsOnlyWhereTheTraitsSaySo) {
  EXPECT_EQ(right().info().supports.test(pollux::Setting::rss), traits().has_rss || traits().ignores_rss);
}

CONFORMANCE_TEST_WHERE(RssSettings, SpreadsFramesAsSoftwareSays, traits.has_rss) {
  RssConfig wanted{.table = table(1), .types = all_types()};
  wanted.key[0] ^= 0x81;
  wanted.key[39] ^= 0x18;
  ASSERT_NO_FATAL_FAILURE(start(wanted));
  EXPECT_EQ(test::rss_of(right()), wanted);
  expect_spread(wanted);
}

CONFORMANCE_TEST_WHERE(RssSettings, ChangesWhileThePortIsStartedAndOutlivesARestart, traits.has_rss) {
  const RssConfig initial = test::rss_of(right());
  ASSERT_NO_FATAL_FAILURE(start(initial));
  RssConfig wanted = test::rss_of(right());
  EXPECT_EQ(wanted.table.size(), right().info().limits.rss_table);
  wanted.types = {(RssTypes::ipv4 | RssTypes::udp_ipv4 | RssTypes::ipv6) & all_types().bits};
  wanted.table = table(2);
  ASSERT_TRUE(right().change([&](pollux::Settings& settings) { settings.rss = wanted; }));
  expect_spread(wanted);
  stop_both();
  start_again();
  EXPECT_EQ(test::rss_of(right()), wanted);
  expect_spread(wanted);
}

CONFORMANCE_TEST_WHERE(RssSettings, SendsBothDirectionsToOneQueueWithASymmetricKey, traits.has_rss) {
  const RssConfig wanted{.key = packet::kSymmetricRssKey, .table = table(0), .types = all_types(), .symmetric = true};
  ASSERT_NO_FATAL_FAILURE(start(wanted));
  for (const Flow& flow : flows()) {
    const auto forward = arrival_of(flow);
    const auto backward = arrival_of(flow.reversed());
    ASSERT_TRUE(forward && backward);
    EXPECT_EQ(forward->hash, backward->hash);
    EXPECT_EQ(forward->queue, backward->queue);
  }
}

CONFORMANCE_TEST_WHERE(RssSettings, RejectsWhatTheCardCannotDo, traits.has_rss) {
  const RssConfig initial = test::rss_of(right());
  ASSERT_NO_FATAL_FAILURE(start(initial));
  const RssConfig before = test::rss_of(right());
  const auto rejected = [&](const RssConfig& wanted) {
    const auto set = right().change([&](pollux::Settings& settings) { settings.rss = wanted; });
    EXPECT_EQ(test::rss_of(right()), before);
    return set ? std::optional<ErrorCode>() : set.error().code;
  };
  EXPECT_EQ(rejected({.table = {0, 1}}), ErrorCode::invalid_argument);
  std::vector<std::uint16_t> beyond = table(0);
  beyond.back() = kQueues;
  EXPECT_EQ(rejected({.table = beyond, .types = all_types()}), ErrorCode::invalid_argument);
  EXPECT_EQ(rejected({.types = {RssTypes::kAll + 1}}), ErrorCode::not_supported);
  EXPECT_EQ(rejected({.types = all_types(), .symmetric = true}), ErrorCode::invalid_argument);
  EXPECT_EQ(rejected({.types = {0}}), ErrorCode::bad_state);
  expect_spread(before);
}

}  // namespace
}  // namespace pollux::conformance
