// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/statistics.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>

namespace pollux::drivers::igb {
namespace {

namespace reg = hw::igb;

/// Counters that a read clears. A read of a pair's high half clears both halves.
class Counters final : public RemoteRegisters {
 public:
  std::uint32_t read32(std::uint32_t offset) noexcept override {
    if (removed) return ~std::uint32_t{0};
    const std::uint32_t value = values[offset];
    for (const CardCounter& counter : kCardCounters) {
      if (counter.offset == offset && !counter.pair) values[offset] = 0;
      if (counter.offset + 4 == offset && counter.pair) values[offset] = values[offset - 4] = 0;
    }
    if (offset >= reg::RQDPC::offset(0) && offset <= reg::RQDPC::offset(15) && offset % 0x40 == 0x30)
      values[offset] = 0;
    return value;
  }
  void write32(std::uint32_t, std::uint32_t) noexcept override {}
  void flush() noexcept override {}

  template <class R>
  std::uint32_t& at(std::uint32_t index = 0) {
    return values[R::offset(index)];
  }

  std::map<std::uint32_t, std::uint32_t> values;
  bool removed = false;
};

struct StatisticsFixture {
  explicit StatisticsFixture(const reg::CardTraits& traits = reg::kCards[0]) {
    statistics.attach(hw::igb::Registers(Bar(card, reg::kRegisterBytes)), traits);
  }
  Stats get() {
    Stats stats;
    statistics.fill(stats);
    return stats;
  }
  std::map<std::string, std::uint64_t> all() {
    std::vector<Counter> list;
    statistics.append(list);
    std::map<std::string, std::uint64_t> map;
    for (const Counter& counter : list) map[counter.name] = counter.value;
    EXPECT_EQ(map.size(), list.size()) << "two counters have the same name";
    return map;
  }
  Counters card;
  IgbStatistics statistics;
};

TEST(Statistics, ListsEachRegisterOnceAndPairsAsOne) {
  std::set<std::uint32_t> listed;
  std::size_t pairs = 0;
  for (const CardCounter& counter : kCardCounters) {
    EXPECT_TRUE(listed.insert(counter.offset).second) << counter.name;
    if (counter.pair) {
      EXPECT_TRUE(listed.insert(counter.offset + 4).second) << counter.name;
    }
    pairs += counter.pair ? 1 : 0;
    EXPECT_FALSE(counter.pair && counter.name.ends_with('L')) << counter.name;
  }
  std::set<std::uint32_t> counted;
  for (const RegisterInfo& info : reg::kStatisticsRegisters) {
    counted.insert(info.offset);
  }
  EXPECT_EQ(listed, counted);
  EXPECT_EQ(pairs, 6u);  // GORC, GOTC, TOR, TOT, HGORC, HGOTC
}

TEST(Statistics, AddsCountersThatAReadClears) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GPRC>() = 5;
  EXPECT_EQ(fixture.get().rx_packets, 5u);
  EXPECT_EQ(fixture.get().rx_packets, 5u);
  fixture.card.at<reg::GPRC>() = 7;
  EXPECT_EQ(fixture.get().rx_packets, 12u);
}

TEST(Statistics, GoesBeyond32Bits) {
  StatisticsFixture fixture;
  for (int i = 0; i < 3; ++i) {
    fixture.card.at<reg::GPTC>() = 0xFFFFFFF0;
    fixture.statistics.accumulate();
  }
  EXPECT_EQ(fixture.get().tx_packets, 3ull * 0xFFFFFFF0);
}

TEST(Statistics, JoinsTheHalvesOfOctets) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GORCL>() = 0x89ABCDEF;
  fixture.card.at<reg::GORCH>() = 0x1;
  fixture.card.at<reg::GOTCL>() = 3;
  fixture.card.at<reg::GOTCH>() = 0x10;
  EXPECT_EQ(fixture.get().rx_bytes, 0x189ABCDEFull);
  EXPECT_EQ(fixture.get().tx_bytes, 0x1000000003ull);
}

TEST(Statistics, LeavesTheFcsOutOfBytes) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GORCL>() = 3 * 64;
  fixture.card.at<reg::GPRC>() = 3;
  fixture.card.at<reg::GOTCL>() = 2 * 1518;
  fixture.card.at<reg::GPTC>() = 2;
  const Stats stats = fixture.get();
  EXPECT_EQ(stats.rx_bytes, 3u * 60);
  EXPECT_EQ(stats.tx_bytes, 2u * 1514);
}

TEST(Statistics, BytesNeverDecrease) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GORCL>() = 640;
  fixture.card.at<reg::GPRC>() = 10;
  EXPECT_EQ(fixture.get().rx_bytes, 600u);
  fixture.card.at<reg::GPRC>() = 2;  // two frames that arrived after the octets had been read
  EXPECT_EQ(fixture.get().rx_bytes, 600u);
  fixture.card.at<reg::GORCL>() = 128;
  EXPECT_EQ(fixture.get().rx_bytes, 720u);
}

/// Statistics after begin_receive. The test sets the number of delivered frames.
struct Receiving : StatisticsFixture {
  explicit Receiving(bool waits = false) {
    statistics.begin_receive(100, waits, [this] { return delivered; });
  }
  void good(std::uint32_t frames) { card.at<reg::GPRC>() = frames; }
  std::optional<std::uint64_t> delivered = 100;
};

TEST(Statistics, MissedIsWhatTheCardCountedAndDidNotDeliver) {
  Receiving fixture;
  fixture.good(50);
  fixture.delivered = 130;
  fixture.card.at<reg::MPC>() = 5;
  EXPECT_EQ(fixture.get().rx_missed_errors, 25u);
  fixture.statistics.end_receive(130);
  EXPECT_EQ(fixture.get().rx_missed_errors, 25u);
}

TEST(Statistics, MissedNeverDecreasesNorIsNegative) {
  Receiving fixture;
  fixture.good(10);
  EXPECT_EQ(fixture.get().rx_missed_errors, 10u);
  fixture.delivered = 140;  // includes frames that arrived since the registers were read
  EXPECT_EQ(fixture.get().rx_missed_errors, 10u);
  fixture.good(40);
  fixture.delivered = std::nullopt;
  EXPECT_EQ(fixture.get().rx_missed_errors, 10u) << "the number is not available now";
  fixture.delivered = 130;
  EXPECT_EQ(fixture.get().rx_missed_errors, 20u);
  fixture.statistics.end_receive(500);
  EXPECT_EQ(fixture.get().rx_missed_errors, 20u);
  fixture.statistics.begin_receive(500, false, [] { return 501u; });
  fixture.good(3);
  EXPECT_EQ(fixture.get().rx_missed_errors, 22u) << "frames delivered in excess before the start do not lower it";
}

TEST(Statistics, FramesThatWaitAreMissedAtTheStop) {
  Receiving fixture(true);
  fixture.good(10);
  EXPECT_EQ(fixture.get().rx_missed_errors, 0u);
  fixture.statistics.end_receive(107);
  EXPECT_EQ(fixture.get().rx_missed_errors, 3u);
  EXPECT_EQ(fixture.all().at("rx_missed_stopped"), 3u);
  EXPECT_EQ(fixture.all().at("rx_missed_no_descriptor"), 0u);
}

TEST(Statistics, StartsAtZeroWhateverTheCardHolds) {
  Counters card;
  card.at<reg::GPRC>() = 1000;
  card.at<reg::GORCH>() = 9;
  IgbStatistics statistics;
  statistics.attach(hw::igb::Registers(Bar(card, reg::kRegisterBytes)), reg::kCards[0]);
  Stats stats;
  statistics.fill(stats);
  EXPECT_EQ(stats.rx_packets, 0u);
  EXPECT_EQ(stats.rx_bytes, 0u);
}

TEST(Statistics, DiscardsWhatAResetLeft) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GPRC>() = 5;
  fixture.statistics.accumulate();
  fixture.card.at<reg::GPRC>() = 0xDEAD;
  fixture.statistics.discard();
  EXPECT_EQ(fixture.get().rx_packets, 5u);
}

TEST(Statistics, IgnoresAllOnesOfARemovedCard) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GPRC>() = 5;
  EXPECT_EQ(fixture.get().rx_packets, 5u);
  fixture.card.removed = true;
  EXPECT_EQ(fixture.get().rx_packets, 5u);
  EXPECT_EQ(fixture.get().rx_bytes, 0u);
}

TEST(Statistics, StaysReadableAfterDetach) {
  StatisticsFixture fixture;
  fixture.card.at<reg::GPRC>() = 5;
  fixture.statistics.accumulate();
  fixture.statistics.detach();
  fixture.card.at<reg::GPRC>() = 6;
  EXPECT_EQ(fixture.get().rx_packets, 5u);
  EXPECT_EQ(fixture.card.at<reg::GPRC>(), 6u) << "a detached card was read";
}

TEST(Statistics, MeansWhatLinuxMeans) {
  StatisticsFixture fixture;
  fixture.card.at<reg::CRCERRS>() = 1;
  fixture.card.at<reg::ALGNERRC>() = 10;
  fixture.card.at<reg::RXERRC>() = 100;
  fixture.card.at<reg::RLEC>() = 1000;
  fixture.card.at<reg::SYMERRS>() = 50000;
  fixture.card.at<reg::RUC>() = 50000;
  fixture.card.at<reg::ECOL>() = 1;
  fixture.card.at<reg::LATECOL>() = 2;
  fixture.card.at<reg::TNCRS>() = 7;
  fixture.card.at<reg::COLC>() = 3;
  fixture.card.at<reg::MPRC>() = 4;
  fixture.card.at<reg::MPC>() = 5;
  fixture.card.at<reg::RQDPC>(0) = 0xFFFFF006;
  fixture.card.at<reg::RQDPC>(15) = 7;
  const Stats stats = fixture.get();
  EXPECT_EQ(stats.rx_errors, 1111u);
  EXPECT_EQ(stats.rx_crc_errors, 1u);
  EXPECT_EQ(stats.rx_frame_errors, 10u);
  EXPECT_EQ(stats.rx_length_errors, 1000u);
  EXPECT_EQ(stats.tx_errors, 10u);
  EXPECT_EQ(stats.tx_aborted_errors, 1u);
  EXPECT_EQ(stats.tx_window_errors, 2u);
  EXPECT_EQ(stats.tx_carrier_errors, 7u);
  EXPECT_EQ(stats.collisions, 3u);
  EXPECT_EQ(stats.multicast, 4u);
  EXPECT_EQ(stats.rx_missed_errors, 18u);
}

TEST(Statistics, NamesEveryCounter) {
  StatisticsFixture fixture;
  std::uint32_t number = 0;
  for (const CardCounter& counter : kCardCounters) fixture.card.values[counter.offset] = ++number;
  const auto counters = fixture.all();
  number = 0;
  for (const CardCounter& counter : kCardCounters) {
    ++number;
    if (counter.name == "SCVPC") continue;
    ASSERT_TRUE(counters.contains(std::string(counter.name))) << counter.name;
    EXPECT_EQ(counters.at(std::string(counter.name)), number) << counter.name;
  }
  EXPECT_TRUE(counters.contains("LENERRS"));
  EXPECT_TRUE(counters.contains("TOR"));
  EXPECT_EQ(counters.at("rx_missed_packet_buffer"), counters.at("MPC"));
  EXPECT_FALSE(counters.contains("TORL"));
  EXPECT_FALSE(counters.contains("SCVPC")) << "not to be read on a copper port";
  EXPECT_NE(fixture.card.at<reg::SCVPC>(), 0u) << "it would be cleared";
  EXPECT_EQ(counters.size(), kCardCounters.size() - 1 + 3) << "and 3 parts of rx_missed_errors";
}

TEST(Statistics, ReadsTheCountersAndQueuesThatTheCardHas) {
  StatisticsFixture serdes(*reg::find_card({.vendor = reg::kVendorId, .device = 0x10E7}));
  serdes.card.at<reg::SCVPC>() = 5;
  EXPECT_EQ(serdes.all().at("SCVPC"), 5u);

  static constexpr std::array<std::string_view, 2> kUnread{"SCVPC", "TNCRS"};
  reg::CardTraits traits = reg::kCards[0];
  traits.queues = 2;
  traits.unread_counters = kUnread;
  StatisticsFixture other(traits);
  other.card.at<reg::TNCRS>() = 5;
  other.card.at<reg::RQDPC>(1) = 6;
  other.card.at<reg::RQDPC>(2) = 7;
  EXPECT_FALSE(other.all().contains("TNCRS"));
  EXPECT_EQ(other.get().rx_missed_errors, 6u);
  EXPECT_EQ(other.card.at<reg::RQDPC>(2), 7u) << "this card has no such register";
}

}  // namespace
}  // namespace pollux::drivers::igb
