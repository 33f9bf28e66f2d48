// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_filter.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <array>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pollux::observe {
namespace {

using testing::HasSubstr;

// An ARP request: 42 bytes that a filter can tell from IP.
std::array<std::uint8_t, 42> arp_frame() {
  std::array<std::uint8_t, 42> frame{};
  frame.fill(0xFF);
  frame[12] = 0x08;
  frame[13] = 0x06;
  return frame;
}

bool matches(const std::string& expression, std::span<const std::uint8_t> frame) {
  const auto filter = FrameFilter::compile(expression, "plx0");
  EXPECT_TRUE(filter) << filter.error().message();
  const auto length = static_cast<std::uint32_t>(frame.size());
  return filter && filter->accepts(frame.data(), length, length);
}

TEST(CaptureFilter, IsThatOfLibpcap) {
  const auto frame = arp_frame();
  EXPECT_TRUE(matches("arp", frame));
  EXPECT_FALSE(matches("ip", frame));
  EXPECT_TRUE(matches("not ip and ether broadcast", frame));
  EXPECT_TRUE(matches("less 42", frame));
  EXPECT_TRUE(matches("", frame));
}

TEST(CaptureFilter, WithoutAnExpressionAcceptsAll) {
  EXPECT_TRUE(FrameFilter().accepts_all());
  EXPECT_TRUE(FrameFilter::compile("", "plx0")->accepts_all());
  EXPECT_FALSE(FrameFilter::compile("arp", "plx0")->accepts_all());
}

TEST(CaptureFilter, NeverReadsBeyondTheFrame) {
  // Sanitizers watch the heap.
  const std::vector<std::uint8_t> frame(13, 0xFF);
  const auto filter = FrameFilter::compile("ip6 or tcp port 80 or vlan 7", "plx0");
  ASSERT_TRUE(filter) << filter.error().message();
  for (std::uint32_t held = 0; held <= frame.size(); ++held) EXPECT_FALSE(filter->accepts(frame.data(), 1500, held));
}

TEST(CaptureFilter, ABadOneIsRejectedWithLibpcapsMessage) {
  const auto filter = FrameFilter::compile("tcp port or 80", "plx0");
  ASSERT_FALSE(filter);
  EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(filter.error().what, HasSubstr("plx0: bad capture filter 'tcp port or 80'"));
  EXPECT_THAT(filter.error().what, HasSubstr("syntax"));
  EXPECT_THAT(filter.error().hint, HasSubstr("pcap-filter(7)"));
}

// The kernel knows it of the packets that it captures. Here it would silently not match.
TEST(CaptureFilter, WhatOnlyTheKernelKnowsIsRejected) {
  for (const char* const expression : {"inbound", "outbound", "not inbound", "inbound or len > 0", "ifindex 1",
                                       "arp and (outbound or ip)", "tcp port 80 or ifindex 3"}) {
    const auto filter = FrameFilter::compile(expression, "plx0");
    ASSERT_FALSE(filter) << expression;
    EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument) << expression;
    EXPECT_THAT(filter.error().message(), testing::AllOf(HasSubstr(expression), HasSubstr("--direction in")));
  }
}

// This thread may be the one that polls, and a name server may take many seconds to answer.
TEST(CaptureFilter, NamesOfHostsAndNetworksAreNotLookedUp) {
  for (const auto& [expression, name] : std::initializer_list<std::pair<const char*, const char*>>{
           {"host example.com", "example.com"},
           {"src a1", "a1"},
           {"ip host ab:cd", "ab"},
           {"tcp and (dst 192.0.2.1 or not x)", "x"},
           {"net localnet/24", "localnet"},
           {"gateway router", "router"},
           {"ether host router", "router"},
           {"host 1.2.3.4.5", "1.2.3.4.5"},
           {"host 192.0.2.1 and example.com", "example.com"},
           {"host (192.0.2.1 or example.com)", "example.com"},
           {"port 80 and host 192.0.2.1 or example.com", "example.com"},
           {"port http and src or dst example.com", "example.com"},
           {"port 80 or http https", "https"},
           {"host 192.0.2.1 or (port 80) or example.com", "example.com"},
           {"(tcp port http) and example.com", "example.com"},
           {"port (80 or 443) or example.com", "example.com"},
           {"port http or (example.com)", "example.com"},
           {"port 80 or not example.com", "example.com"},
           {"port !example.com", "example.com"},
           {"proto 6 and ! ( example.com )", "example.com"},
           {"port 80||tcp||example.com", "example.com"},
           {"host \\tcp", "\\tcp"},
           {"host 192.0.2.1&&example.com", "example.com"},
           {"host !example.com", "example.com"},
           {"tcp prot 80", "prot"},
           {"no such word", "no"}}) {
    const auto filter = FrameFilter::compile(expression, "plx0");
    ASSERT_FALSE(filter) << expression;
    EXPECT_EQ(filter.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(filter.error().what, HasSubstr("'" + std::string(name) + "' is neither")) << expression;
    EXPECT_THAT(filter.error().hint, HasSubstr("give its address"));
  }
}

TEST(CaptureFilter, WithAddressesAndNamesOfPortsAndProtocolsIsAccepted) {
  for (const char* const expression : {"host 192.0.2.1",
                                       "src 192.0.2.1 or 192.0.2.2",
                                       "src host 192.0.2.1 and dst port http",
                                       "port http or https",
                                       "port (http or 443)",
                                       "portrange 20-30",
                                       "net 192.0.2.0/24",
                                       "net 10",
                                       "net 10.1",
                                       "net 192.0.2.0 mask 255.255.255.0",
                                       "ip6 host fe80::1",
                                       "host ::",
                                       "host 2001:db8::1:2 and tcp",
                                       "net 2001:db8::/32",
                                       "ip6 host ::ffff:192.0.2.1",
                                       "ether host 02:00:00:00:00:01",
                                       "ether src 2:0:0:0:0:1",
                                       "ether dst 02-00-00-00-00-01",
                                       "ether host 0200.0000.0001",
                                       "ether host 020000000001",
                                       "ether broadcast and not (arp or rarp)",
                                       "ether proto 0x88b5",
                                       "ether proto \\ip",
                                       "ip proto \\tcp or \\udp",
                                       "ip proto ospf",
                                       "ip6 protochain \\tcp",
                                       "vlan 291 and ether[14] = 15",
                                       "mpls 100000 && mpls 1024",
                                       "pppoes and ip",
                                       "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
                                       "icmp[icmptype] != icmp-echo and icmp[0] != 0x8",
                                       "icmp6[icmp6type] = icmp6-echo",
                                       "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
                                       "ip[0] & 0xf != 5",
                                       "len <= 60 or greater 1500",
                                       "not host 192.0.2.1 and !port 53",
                                       "ip multicast"}) {
    const auto filter = FrameFilter::compile(expression, "plx0");
    EXPECT_TRUE(filter) << expression << ": " << filter.error().message();
  }
}

TEST(CaptureFilter, ALongOneAndOneWithOddCharactersAreRejected) {
  EXPECT_EQ(FrameFilter::compile(std::string(FrameFilter::kMaxLength + 1, ' '), "plx0").error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(FrameFilter::compile(std::string("arp\0 or ip", 10), "plx0").error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(FrameFilter::compile("arp\n", "plx0").error().code, ErrorCode::invalid_argument);
}

/// "A or B or C ..." of so many parts.
std::string any_of(int parts, const std::function<std::string(int)>& part) {
  std::string all = part(1);
  for (int i = 2; i <= parts; ++i) all += " or " + part(i);
  return all;
}

// libpcap's optimizer takes many seconds for them, and each frame thousands of instructions.
TEST(CaptureFilter, OneThatIsTooComplexIsRejected) {
  const auto error = [](const std::string& expression) {
    const auto filter = FrameFilter::compile(expression, "plx0");
    return filter ? "" : filter.error().what;
  };
  const auto range = [](int i) { return fmt::format("portrange {}-{}", i, i + 5); };
  EXPECT_THAT(error(any_of(150, range)), HasSubstr("words"));
  EXPECT_THAT(error(any_of(95, range)), HasSubstr("instructions"));
  EXPECT_EQ(error(any_of(40, range)), "");
  EXPECT_THAT(error(any_of(200, [](int i) { return fmt::format("port {}||{}", i, i); })), HasSubstr("words"));
  EXPECT_EQ(error(any_of(90, [](int i) { return fmt::format("host 192.0.2.{}", i); })), "");
}

/// The next filter, once the thread has compiled it.
FilterCompiler::Compiled next_of(FilterCompiler& compiler) {
  while (true) {
    if (auto compiled = compiler.take()) return *std::move(compiled);
    pollfd ready{compiler.event_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 20'000), 1);
  }
}

TEST(CaptureFilterCompiler, CompilesInTurnAndForgetsWhatIsNotWanted) {
  const auto compiler = FilterCompiler::create();
  ASSERT_TRUE(compiler) << compiler.error().message();
  FilterCompiler& filters = **compiler;
  EXPECT_FALSE(filters.take());
  for (int round = 0; round < 3; ++round) {
    filters.add(1, 0, "arp", "plx0");
    filters.add(2, 0, "tcp port or 80", "plx0");
    filters.add(3, 0, "ip", "plx0");
    filters.forget(4);
    const auto first = next_of(filters);
    EXPECT_EQ(first.client, 1u);
    EXPECT_TRUE(first.filter);
    const auto second = next_of(filters);
    EXPECT_EQ(second.client, 2u);
    EXPECT_FALSE(second.filter);
    EXPECT_EQ(next_of(filters).client, 3u);
  }
  filters.add(5, 0, "arp", "plx0");  // is compiled while the object goes, or not at all
}

// The others wait long before the first one is ready.
TEST(CaptureFilterCompiler, UsersHaveTheirTurns) {
  constexpr uid_t kMany = 1000;
  constexpr uid_t kOne = 1001;
  const auto compiler = FilterCompiler::create();
  ASSERT_TRUE(compiler) << compiler.error().message();
  FilterCompiler& filters = **compiler;
  const std::string slow = any_of(40, [](int i) { return fmt::format("portrange {}-{}", i, i + 5); });
  for (std::uint64_t client = 1; client <= 3; ++client) filters.add(client, kMany, slow, "plx0");
  for (std::uint64_t client = 4; client <= 5; ++client) filters.add(client, kOne, "arp", "plx0");
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 5; ++i) order.push_back(next_of(filters).client);
  EXPECT_THAT(order, testing::ElementsAre(1, 4, 2, 5, 3));
}

}  // namespace
}  // namespace pollux::observe
