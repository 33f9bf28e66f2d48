// SPDX-License-Identifier: BSD-3-Clause
#include "top/page.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/printable.hpp"

namespace pollux::tool::top {
namespace {

using testing::Each;
using testing::Field;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

PortRates port_named(const std::string& name) {
  PortRates port;
  port.now.port = {name, "sim:0", "igb", "started", 4711, "l2fwd", "/socket"};
  port.now.link_up = true;
  port.now.link_speed = 1000;
  port.now.pool_used = 0.25;
  port.rx_packets = 1'488'095;
  port.rx_bits = 714e6;
  port.tx_packets = 1'488'000;
  port.tx_bits = 713e6;
  port.drops = 0;
  port.empty_polls = 0.5;
  port.cycles_per_frame = 41.6;
  port.queues = {{.name = "rx0", .packets = 1'488'095}, {.name = "tx0"}};
  port.burst_share = {0, 0.5, 0, 0, 0, 0, 0.5};
  return port;
}

std::string text_of_page(const std::vector<Line>& lines) {
  std::string all;
  for (const Line& line : lines) all += line.text + '\n';
  return all;
}

TEST(TopPage, NumbersAreShort) {
  EXPECT_EQ(short_text({}), "-");
  EXPECT_EQ(short_text(0), "0");
  EXPECT_EQ(short_text(999.4), "999");
  EXPECT_EQ(short_text(999.6), "1.000k");
  EXPECT_EQ(short_text(1'488'095), "1.488M");
  EXPECT_EQ(short_text(14'880'952), "14.88M");
  EXPECT_EQ(short_text(714e6), "714.0M");
  EXPECT_EQ(short_text(2.5e15), "2500.0T");
}

TEST(TopPage, APortIsARowWithinEightyColumns) {
  const auto page = page_of({port_named("plx0")}, {}, {});
  EXPECT_THAT(page, Each(Field(&Line::text, SizeIs(testing::Le(80U)))));
  EXPECT_EQ(page[1].text.size(), page[2].text.size()) << "headings are above their columns";
  EXPECT_EQ(page[2].text, "plx0     l2fwd        1G 1.488M 714.0M 1.488M 713.0M      0   50%      42   25%");
  EXPECT_EQ(page[2].style, Style::selected);
}

TEST(TopPage, ItFitsTheTerminal) {
  std::vector<PortRates> ports;
  for (int i = 0; i < 30; ++i) ports.push_back(port_named("plx" + std::to_string(i)));
  for (const Size size : {Size{24, 80}, Size{1, 1}, Size{5, 20}, Size{0, 0}}) {
    const auto page = page_of(ports, {.selected = 29}, size);
    EXPECT_THAT(page, SizeIs(testing::Le(static_cast<std::size_t>(std::max(size.rows, 1)))));
    EXPECT_THAT(page,
                Each(Field(&Line::text, SizeIs(testing::Le(static_cast<std::size_t>(std::max(size.columns, 1)))))));
  }
  EXPECT_THAT(text_of_page(page_of(ports, {.selected = 29}, {})), HasSubstr("\nplx29 "))
      << "the selected port is always shown";
}

TEST(TopPage, DetailsAreThoseOfTheSelectedPort) {
  auto ports = std::vector{port_named("plx0"), port_named("plx1")};
  ports[1].reasons = {{"rx_pool_empty", 12, 345}};
  ports[1].drops = 12;
  const std::string first = text_of_page(page_of(ports, {}, {}));
  EXPECT_THAT(first, HasSubstr("plx0 (sim:0) of l2fwd, process 4711: igb, started"));
  EXPECT_THAT(first, HasSubstr("none since the port was opened"));
  const auto page = page_of(ports, {.selected = 1}, {});
  EXPECT_THAT(text_of_page(page), HasSubstr("rx_pool_empty               12      345"));
  EXPECT_EQ(page_of(ports, {}, {})[3].style, Style::alert) << "a port that drops frames stands out";
}

TEST(TopPage, WhatTheProgramDropsIsShownWithEachPort) {
  auto ports = std::vector{port_named("plx0")};
  ports[0].program_reasons = {{"not_for_us", 12, 1090}};
  const std::string page = text_of_page(page_of(ports, {}, {}));
  EXPECT_THAT(page, HasSubstr("of the program itself:"));
  EXPECT_THAT(page, HasSubstr("not_for_us                  12   1.090k"));
}

TEST(TopPage, ALineIsCutBetweenCharacters) {
  PortRates port = port_named("plx0");
  port.now.port.program = "für-größe";
  for (int columns = 1; columns < 30; ++columns) {
    const std::string row = page_of({port}, {}, {24, columns})[2].text;
    EXPECT_EQ(printable(row), row) << "at " << columns << " columns it ends within a character";
  }
  EXPECT_THAT(page_of({port}, {}, {24, 80})[2].text, HasSubstr("für-größe    1G"));
}

TEST(TopPage, BurstsAreBars) {
  const std::string page = text_of_page(page_of({port_named("plx0")}, {}, {}));
  EXPECT_THAT(page, HasSubstr("      1   50% ##########\n"));
  EXPECT_THAT(page, HasSubstr("  32-63   50% ##########\n"));
  EXPECT_THAT(page, HasSubstr("    2-3    0% \n"));
}

TEST(TopPage, QueuesIdlePortsAndHelpAreChosen) {
  auto ports = std::vector{port_named("plx0"), port_named("plx1")};
  ports[1].rx_packets = ports[1].tx_packets = 0;
  EXPECT_THAT(text_of_page(page_of(ports, {}, {})), HasSubstr("\nrx0 "));
  EXPECT_THAT(text_of_page(page_of(ports, {.shows_queues = false}, {})), Not(HasSubstr("\nrx0 ")));
  EXPECT_THAT(text_of_page(page_of(ports, {}, {})), HasSubstr("\nplx1 "));
  EXPECT_THAT(text_of_page(page_of(ports, {.shows_idle = false}, {})), Not(HasSubstr("\nplx1 ")));
  EXPECT_THAT(text_of_page(page_of(ports, {.shows_help = true}, {})), StartsWith("pollux top: keys"));
  EXPECT_THAT(text_of_page(page_of(ports, {}, {})), HasSubstr("h help"));
  EXPECT_THAT(text_of_page(page_of(ports, {.has_keys = false}, {})), Not(HasSubstr("h help")));
}

TEST(TopPage, APortThatReceivedNothingIsMeasuredToo) {
  PortRates port = port_named("plx0");
  port.burst_share.clear();
  EXPECT_THAT(text_of_page(page_of({port}, {}, {})), HasSubstr("none since the last update"));
}

TEST(TopPage, HeadingsNameTheirUnits) {
  const std::string page = text_of_page(page_of({port_named("plx0")}, {}, {}));
  EXPECT_THAT(page, HasSubstr("\nQUEUE  FRAMES/s   BITS/s   DROP/s   EMPTY   BURST  CYC/FRM\n"));
  EXPECT_THAT(page, HasSubstr("\nDROPS BY REASON         DROP/s    TOTAL RECEIVE BURSTS BY FRAMES\n"));
}

TEST(TopPage, WhatIsNotKnownIsADash) {
  PortRates port = port_named("plx0");
  port.empty_polls = port.cycles_per_frame = std::nullopt;
  port.burst_share.clear();
  port.now.pool_used = -1;
  const std::string page = text_of_page(page_of({port}, {}, {}));
  EXPECT_THAT(page, HasSubstr("      0     -       -     -\n"));
  EXPECT_THAT(page, HasSubstr("not measured"));
}

TEST(TopPage, AProgramThatDoesNotAnswerIsNamed) {
  auto ports = std::vector{port_named("plx0"), port_named("plx1")};
  ports[1].now.answers = false;
  const auto page = page_of(ports, {.selected = 1, .shows_idle = false}, {});
  EXPECT_THAT(page[3].text, HasSubstr("plx1     l2fwd      does not answer"));
  ports[1].now.failure = "16 clients are connected";
  EXPECT_THAT(page_of(ports, {}, {})[3].text, HasSubstr("plx1     l2fwd      16 clients are connected"));
}

TEST(TopPage, WithoutPortsItSaysWhatToDo) { EXPECT_THAT(text_of_page(page_of({}, {}, {})), HasSubstr("--telemetry")); }

}  // namespace
}  // namespace pollux::tool::top
