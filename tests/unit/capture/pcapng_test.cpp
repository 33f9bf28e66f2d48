// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/capture_core.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "pcapng_reader.hpp"

namespace pollux::observe::pcapng {
namespace {

using testing::ElementsAre;
using testing::Pair;

// The numbers of a pcapng file, which are in the byte order of the machine that wrote it.
Bytes bytes_of(std::initializer_list<std::uint32_t> words) {
  Bytes bytes;
  for (const std::uint32_t word : words) {
    const auto* const from = reinterpret_cast<const std::byte*>(&word);
    bytes.insert(bytes.end(), from, from + sizeof word);
  }
  return bytes;
}

Bytes with_section(const auto& append_more) {
  Bytes bytes;
  append(bytes, Section{});
  append_more(bytes);
  return bytes;
}

TEST(Pcapng, ASectionWithoutOptionsIsTwentyEightBytes) {
  Bytes bytes;
  append(bytes, Section{});
  EXPECT_EQ(bytes, bytes_of({0x0A0D0D0A, 28, 0x1A2B3C4D, 0x00000001, ~0U, ~0U, 28}));
}

TEST(Pcapng, ASectionSaysWhoWroteIt) {
  Bytes bytes;
  append(bytes, Section{.hardware = "card", .os = "Linux", .application = "l2fwd", .comment = "c"});
  EXPECT_THAT(test::read_pcapng(bytes).section,
              ElementsAre(Pair(1, "c"), Pair(2, "card"), Pair(3, "Linux"), Pair(4, "l2fwd")));
}

// Its texts are UTF-8 (3.5); names of files and interfaces may have any bytes.
TEST(Pcapng, TextIsUtf8) {
  Bytes bytes;
  append(bytes, Section{.hardware = "n\xFF", .comment = "\xC3\xBC"});
  EXPECT_THAT(test::read_pcapng(bytes).section, ElementsAre(Pair(1, "\xC3\xBC"), Pair(2, "n\xEF\xBF\xBD")));
}

TEST(Pcapng, APacketsBytesAreThoseOfTheFormat) {
  Bytes bytes;
  const std::array<std::uint8_t, 5> frame{0x02, 0x11, 0x22, 0x33, 0x44};
  append(bytes, Packet{.interface = 7, .time = 0x0123'4567'89AB'CDEF, .length = 100, .direction = Direction::outbound},
         frame);
  // Five bytes are no address. They are padded to eight, as options are.
  constexpr std::uint32_t kFlags = 2;
  EXPECT_EQ(bytes,
            bytes_of({6, 52, 7, 0x0123'4567, 0x89AB'CDEF, 5, 100, 0x3322'1102, 0x44, 0x0004'0002, kFlags, 0, 52}));
}

TEST(Pcapng, FlagsTellDirectionKindOfAddressAndFcs) {
  const auto flags = [](std::array<std::uint8_t, 6> to, Direction direction, std::uint8_t fcs) {
    return test::read_pcapng(
               with_section([&](Bytes& bytes) { append(bytes, Packet{.direction = direction, .fcs_bytes = fcs}, to); }))
        .packets.front()
        .flags();
  };
  EXPECT_EQ(flags({2, 0, 0, 0, 0, 1}, Direction::inbound, 0), 0b0'0000'001'01U);
  EXPECT_EQ(flags({2, 0, 0, 0, 0, 1}, Direction::outbound, 0), 0b0'0000'001'10U);
  EXPECT_EQ(flags({1, 0, 0x5E, 0, 0, 1}, Direction::inbound, 4), 0b0'0100'010'01U);
  EXPECT_EQ(flags({255, 255, 255, 255, 255, 255}, Direction::unknown, 0), 0b0'0000'011'00U);
}

TEST(Pcapng, AFrameWithoutAnAddressHasNoKind) {
  const Bytes bytes = with_section([](Bytes& out) { append(out, Packet{.direction = Direction::inbound}, {}); });
  const auto packet = test::read_pcapng(bytes).packets.front();
  EXPECT_EQ(packet.flags(), 1U);
  EXPECT_TRUE(packet.bytes.empty());
}

TEST(Pcapng, OptionsOfAPacketAreThereIfTheyAreSet) {
  const std::array<std::uint8_t, 6> frame{};
  const auto options = [&](const Packet& packet) {
    return test::read_pcapng(with_section([&](Bytes& out) { append(out, packet, frame); })).packets.front();
  };
  EXPECT_THAT(options({}).options, ElementsAre(testing::Key(2)));
  const auto full = options({.queue = 3, .lost = 0x1'0000'0002, .comment = "why"});
  EXPECT_EQ(full.lost(), 0x1'0000'0002U);
  EXPECT_EQ(full.comment(), "why");
  EXPECT_EQ(full.options.at(6), std::string("\x03\0\0\0", 4));
}

TEST(Pcapng, AnInterfaceIsEthernetInNanoseconds) {
  const Bytes bytes = with_section([](Bytes& out) {
    append(out, Interface{.name = "plx0/rx0",
                          .description = "d",
                          .snaplen = 96,
                          .mac = {{2, 0, 0, 0, 0, 9}},
                          .speed = 1'000'000'000,
                          .filter = "icmp",
                          .fcs_bytes = 4,
                          .hardware = "h"});
    append(out, Interface{});
  });
  const auto file = test::read_pcapng(bytes);
  ASSERT_EQ(file.interfaces.size(), 2U);
  const auto& one = file.interfaces.front();
  EXPECT_EQ(one.link_type, 1);
  EXPECT_EQ(one.snaplen, 96U);
  EXPECT_THAT(one.options, ElementsAre(Pair(2, "plx0/rx0"), Pair(3, "d"), Pair(6, std::string("\x02\0\0\0\0\x09", 6)),
                                       Pair(8, std::string("\x00\xCA\x9A\x3B\0\0\0\0", 8)), Pair(9, "\x09"),
                                       Pair(11, std::string("\0icmp", 5)), Pair(13, "\x04"), Pair(15, "h")));
  EXPECT_THAT(file.interfaces.back().options, ElementsAre(Pair(9, "\x09")));
}

TEST(Pcapng, StatisticsHaveTheCountsOfTheirInterface) {
  const Bytes bytes = with_section([](Bytes& out) {
    append(out, Statistics{.interface = 1,
                           .time = 9,
                           .start = 0x1'0000'0003,
                           .end = 9,
                           .received = 10,
                           .dropped = 2,
                           .accepted = 7,
                           .lost = 3,
                           .delivered = 4,
                           .comment = "c"});
    append(out, Statistics{});
  });
  const auto file = test::read_pcapng(bytes);
  ASSERT_EQ(file.statistics.size(), 2U);
  const auto& one = file.statistics.front();
  EXPECT_EQ(one.interface, 1U);
  EXPECT_EQ(one.number(2), 0x3'0000'0001U) << "the upper half comes first";
  EXPECT_EQ(one.number(4), 10U);
  EXPECT_EQ(one.number(5), 2U);
  EXPECT_EQ(one.number(6), 7U);
  EXPECT_EQ(one.number(7), 3U);
  EXPECT_EQ(one.number(8), 4U);
  EXPECT_EQ(one.comment(), "c");
  EXPECT_FALSE(file.statistics.back().number(5)) << "not known";
}

TEST(Pcapng, ATextThatIsTooLongIsCutOff) {
  const Bytes bytes = with_section([](Bytes& out) { append(out, Interface{.name = std::string(70'000, 'x')}); });
  EXPECT_EQ(test::read_pcapng(bytes).interfaces.front().name(), std::string(65'535, 'x'));
}

}  // namespace
}  // namespace pollux::observe::pcapng
