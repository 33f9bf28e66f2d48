// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/device/record.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <random>
#include <vector>

#include "device/record_format.hpp"
#include "hw/intel/igb/registers.hpp"
#include "support/full_disk.hpp"
#include "support/settings_edits.hpp"
#include "unit/trace/record_fixture.hpp"

namespace pollux::test {
namespace {

using testing::HasSubstr;

TEST_F(RecordTest, AReplayDeliversTheSameFramesAndCounts) {
  const Observation recorded = record();
  EXPECT_GT(recorded.frames.size(), 500u);
  EXPECT_GT(answers_, 100u);
  EXPECT_EQ(recorded.stop_error, "");
  const Observation replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(progress_->at_end());
  EXPECT_EQ(replayed.frames.size(), recorded.frames.size());
  EXPECT_TRUE(replayed.frames == recorded.frames) << "byte for byte";
  EXPECT_TRUE(replayed.words == recorded.words);
  EXPECT_EQ(replayed.counters, recorded.counters);
  EXPECT_EQ(replayed.stop_error, "");
}

TEST_F(RecordTest, AReplayHasTheSplitHeadersToo) {
  const Observation recorded = record({.splits = true});
  EXPECT_GT(recorded.split, 500u);
  const Observation replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_EQ(replayed.split, recorded.split);
  EXPECT_TRUE(replayed.frames == recorded.frames) << "byte for byte";
  EXPECT_TRUE(replayed.words == recorded.words);
}

TEST_F(RecordTest, RecordingDoesNotChangeWhatTheDriverReceives) {
  const Observation recorded = record();
  const std::vector<Frame> frames = recorded.frames;
  // Without a recorder, frames arrive one poll earlier, but they are the same and in the same order.
  ContextFixture fixture;
  auto port = open(fixture.context, "sim:0", fixture.config());
  auto link_partner = open(fixture.context, "sim:1", fixture.config());
  ASSERT_TRUE(port);
  ASSERT_TRUE(link_partner);
  ASSERT_TRUE(port->wait_for_link(std::chrono::seconds(5)));
  ASSERT_TRUE(link_partner->wait_for_link(std::chrono::seconds(5)));
  std::mt19937 random(3);
  std::vector<Frame> direct;
  DropCounter dropped("received");
  for (int i = 0; i < kRounds; ++i) {
    send_some(fixture, *link_partner, random);
    Burst<32> burst;
    port->rx(0).rx_burst(burst);
    for (Mbuf& mbuf : burst) direct.push_back(content(mbuf));
    burst.drop(dropped, fixture.cache);
    fixture.clock->sleep_for(std::chrono::microseconds(50));
  }
  EXPECT_GT(frames.size(), 500u);
  ASSERT_GE(direct.size(), frames.size());
  EXPECT_TRUE(std::equal(frames.begin(), frames.end(), direct.begin()));
  const auto stopped = std::find_if(recorded.counters.begin(), recorded.counters.end(),
                                    [](const auto& counter) { return counter.first == "rx_stopped"; });
  ASSERT_NE(stopped, recorded.counters.end());
  ASSERT_TRUE(port->stop());
  std::uint64_t left_over = 0;
  for (const Counter& drop : port->stats().drops) left_over += drop.name == "rx_stopped" ? drop.value : 0;
  EXPECT_EQ(frames.size() + stopped->second, direct.size() + left_over) << "the recorder lost or duplicated frames";
}

TEST_F(RecordTest, ReportsWhereTheDriverDiffersFromTheRecording) {
  static_cast<void>(record());
  const Observation replayed = replay([](Port& port) { EXPECT_FALSE(set_promiscuous(port, true)); });
  EXPECT_THAT(progress_->divergence(), HasSubstr("to RCTL (0x100), but the recording has a write of"));
  EXPECT_THAT(log_, HasSubstr(progress_->divergence()));
  EXPECT_FALSE(progress_->at_end());
  EXPECT_NE(replayed.stop_error, "");
}

// As after Ctrl-C, which comes at another poll in each run.
TEST_F(RecordTest, AReplayMayBeStoppedLaterThanTheRecordedRun) {
  const Observation recorded = record();
  const Observation replayed = replay(nullptr, [](ContextFixture& fixture, Port& port) {
    std::mt19937 random(5);
    for (int i = 0; i < 20; ++i) send_some(fixture, port, random);
  });
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(progress_->at_end());
  EXPECT_THAT(log_, HasSubstr("the recorded port was stopped here; stop this one, too"));
  EXPECT_EQ(replayed.stop_error, "");
  EXPECT_TRUE(replayed.frames == recorded.frames);
}

TEST_F(RecordTest, ADoorbellMoreDivergesWhereTheRecordedRunWentOn) {
  static_cast<void>(record());
  static_cast<void>(replay([](Port& port) {
    Burst<1> burst;
    MbufPtr mbuf = port.rx_pool()->allocate();
    static_cast<void>(mbuf->append(60));
    ASSERT_TRUE(burst.push(mbuf));
    port.tx(0).tx_burst(burst);
  }));
  EXPECT_THAT(progress_->divergence(), HasSubstr("to TDT[0] (0xe018), but the recording has"));
  EXPECT_THAT(log_, testing::Not(HasSubstr("was stopped here")));
  EXPECT_FALSE(progress_->at_end());
}

TEST_F(RecordTest, StatisticsMayBeReadAtOtherTimes) {
  const Observation recorded = record();
  const Observation replayed = replay([](Port& port) { EXPECT_TRUE(port.service()); });
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(replayed.frames == recorded.frames);
  EXPECT_EQ(replayed.counters, recorded.counters);
}

// Frames that waited when the recorded driver read a status or statistics come at the same poll.
TEST_F(RecordTest, StatisticsMayBeReadLessOften) {
  const Observation recorded = record({.before_round = [](Port& port) { EXPECT_TRUE(port.service()); }});
  const Observation replayed = replay();
  EXPECT_EQ(progress_->divergence(), "");
  EXPECT_TRUE(replayed.frames == recorded.frames);
  EXPECT_EQ(replayed.counters, recorded.counters);
}

TEST_F(RecordTest, ReplaysAnIncompleteRecordingUpToItsEnd) {
  static_cast<void>(record());
  std::FILE* const file = std::fopen(file_.c_str(), "rb+");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(std::fseek(file, 0, SEEK_END), 0);
  const long size = std::ftell(file);
  ASSERT_EQ(::ftruncate(::fileno(file), size * 3 / 4), 0);
  std::fclose(file);
  const Observation replayed = replay();
  EXPECT_GT(replayed.frames.size(), 100u);
  EXPECT_THAT(log_, HasSubstr("the recording has no end mark"));
  EXPECT_THAT(progress_->divergence(), HasSubstr("but the recording has no further event: its card counts as removed"));
}

// A hostile file can change no more memory than a hostile card behind an IOMMU.
TEST_F(RecordTest, AFrameBeyondItsBufferIsNotWritten) {
  ContextFixture fixture;
  auto memory = fixture.context.allocate({.size = 8192, .purpose = "a ring and two buffers"}).value();
  const DmaSegment& segment = memory.segments()[0];
  const std::vector<std::byte> frame(1025, std::byte{0x42});
  const auto write = [](std::uint32_t offset, std::uint32_t value) {
    return RecordEvent{.kind = RecordEvent::Kind::write, .offset = offset, .value = value};
  };
  const std::vector<RecordEvent> writes{write(hw::igb::SRRCTL::offset(0), 1), write(hw::igb::RDBAL::offset(0), 0),
                                        write(hw::igb::RDBAH::offset(0), 0), write(hw::igb::RDLEN::offset(0), 128),
                                        write(hw::igb::RDT::offset(0), 2)};
  {
    auto writer =
        RecordWriter::create(
            file_, {.identity = {.vendor = 0x8086, .device = 0x10C9}, .bars = {0x20000}, .name = "written by hand"})
            .value();
    for (const RecordEvent& event : writes) writer.add(event);
    for (std::uint16_t slot = 0; slot < 2; ++slot) {
      writer.add({.kind = RecordEvent::Kind::write_back,
                  .slot = slot,
                  .words = 2,
                  .descriptor = {{0, 3}},
                  .payload = std::span(frame).first(slot == 0 ? 1025 : 1024)});
    }
  }
  const auto device = replay_device(fixture.context, file_, find_card_layout).value();
  const Bar bar = device->bar(0).value();
  auto* const ring = reinterpret_cast<std::uint64_t*>(segment.address);
  for (std::uint64_t slot = 0; slot < 2; ++slot) ring[2 * slot] = segment.iova + 2048 + slot * 2048;
  for (const RecordEvent& event : writes) {
    const bool low = event.offset == hw::igb::RDBAL::offset(0);
    const bool high = event.offset == hw::igb::RDBAH::offset(0);
    bar.write32(event.offset, static_cast<std::uint32_t>(low ? segment.iova : high ? segment.iova >> 32 : event.value));
  }
  EXPECT_EQ(ring[1], 3u) << "both descriptors are written back";
  EXPECT_EQ(ring[3], 3u);
  EXPECT_EQ(segment.address[2048], std::byte{0}) << "the frame is one byte longer than its buffer";
  EXPECT_EQ(segment.address[4096], std::byte{0x42});
  EXPECT_EQ(segment.address[4096 + 1023], std::byte{0x42});
}

TEST_F(RecordTest, ReplaysNarrowAccesses) {
  static constexpr std::uint32_t kRlpml = hw::igb::RLPML::offset(0);
  const auto accesses = [](Device& device) {
    const Bar bar = device.bar(0).value();
    bar.write32(kRlpml, 0x0000'2345);
    bar.write16(kRlpml, 0xFFFF);
    return std::vector<std::uint32_t>{bar.read8(kRlpml), bar.read8(kRlpml + 1), bar.read16(kRlpml), bar.read32(kRlpml)};
  };
  std::vector<std::uint32_t> recorded;
  {
    ContextFixture fixture;
    auto inner = open_device(fixture.context, "sim:0").value();
    const CardLayout& layout = *find_card_layout(inner->identity());
    const auto device = record_device(fixture.context, file_, layout, std::move(inner)).value();
    recorded = accesses(*device);
  }
  EXPECT_EQ(recorded, (std::vector<std::uint32_t>{0x45, 0x23, 0x2345, 0x2345}));
  ContextFixture fixture;
  const auto progress = std::make_shared<ReplayProgress>();
  const auto device = replay_device(fixture.context, file_, find_card_layout, progress).value();
  EXPECT_EQ(accesses(*device), recorded);
  EXPECT_EQ(progress->divergence(), "");
  EXPECT_TRUE(progress->at_end());
}

TEST_F(RecordTest, AnAccessOfAnotherWidthDiverges) {
  static constexpr std::uint32_t kRlpml = hw::igb::RLPML::offset(0);
  {
    ContextFixture fixture;
    auto inner = open_device(fixture.context, "sim:0").value();
    const CardLayout& layout = *find_card_layout(inner->identity());
    const auto device = record_device(fixture.context, file_, layout, std::move(inner)).value();
    device->bar(0).value().write32(kRlpml, 1);
  }
  ContextFixture fixture;
  const auto progress = std::make_shared<ReplayProgress>();
  const auto device = replay_device(fixture.context, file_, find_card_layout, progress).value();
  const Bar bar = device->bar(0).value();
  bar.write16(kRlpml, 1);
  EXPECT_THAT(progress->divergence(), HasSubstr("a write of 0x1 to 16 bits of RLPML"));
  EXPECT_EQ(bar.read8(kRlpml), 0xFF) << "the card was removed";
}

// The driver reads ICR when a message has come, and STATUS at any time.
TEST_F(RecordTest, AStatusRegisterMayBeReadLessOften) {
  const std::uint32_t status = hw::igb::STATUS::offset(0);
  std::uint32_t recorded = 0;
  {
    ContextFixture fixture;
    auto inner = open_device(fixture.context, "sim:0").value();
    const CardLayout& layout = *find_card_layout(inner->identity());
    const auto device = record_device(fixture.context, file_, layout, std::move(inner)).value();
    const Bar bar = device->bar(0).value();
    static_cast<void>(bar.read32(hw::igb::ICR::offset(0)));
    recorded = bar.read32(status);
  }
  ContextFixture fixture;
  const auto progress = std::make_shared<ReplayProgress>();
  const auto device = replay_device(fixture.context, file_, find_card_layout, progress).value();
  EXPECT_EQ(device->bar(0).value().read32(status), recorded);
  EXPECT_EQ(progress->divergence(), "");
  EXPECT_TRUE(progress->at_end()) << "it passes the read of ICR";
}

TEST_F(RecordTest, ReplaysAnInterruptAtTheSameAccess) {
  const auto vectors_raised = [](Device& device) {
    const Bar bar = device.bar(0).value();
    const auto events = device.enable_interrupts(2).value();
    std::vector<bool> raised;
    const auto read_events = [&] {
      std::uint64_t count = 0;
      for (const int event : events) raised.push_back(::read(event, &count, sizeof count) > 0);
    };
    bar.write32(hw::igb::GPIE::offset(0), 1U << 4 | 1U << 31);
    bar.write32(hw::igb::EIMS::offset(0), 3);
    read_events();
    bar.write32(hw::igb::EICS::offset(0), 2);
    static_cast<void>(bar.read32(hw::igb::STATUS::offset(0)));
    read_events();
    EXPECT_TRUE(device.enable_interrupts(0));
    return raised;
  };
  std::vector<bool> recorded;
  {
    ContextFixture fixture;
    auto inner = open_device(fixture.context, "sim:0").value();
    const CardLayout& layout = *find_card_layout(inner->identity());
    const auto device = record_device(fixture.context, file_, layout, std::move(inner)).value();
    recorded = vectors_raised(*device);
  }
  EXPECT_EQ(recorded, (std::vector<bool>{false, false, false, true}));
  ContextFixture fixture;
  const auto device = replay_device(fixture.context, file_, find_card_layout).value();
  EXPECT_EQ(vectors_raised(*device), recorded);
}

TEST_F(RecordTest, OpensByUri) {
  {
    ContextFixture fixture;
    auto port = open(fixture.context, fmt::format("record:{},sim:0", file_), fixture.config());
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_EQ(port->info().name, "sim:0");
  }
  {
    ContextFixture fixture;
    auto port = open(fixture.context, fmt::format("replay:{}", file_), fixture.config());
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_EQ(port->info().name, fmt::format("replay:{}", file_));
    EXPECT_TRUE(port->close());
    EXPECT_EQ(fixture.pool.stats().in_use(), 0u);
  }
  ContextFixture fixture;
  const auto missing = open_unconfigured(fixture.context, "replay:/nowhere/at/all.rec");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_FALSE(open_unconfigured(fixture.context, "record:/nowhere/at/all.rec,sim:0"));
  EXPECT_FALSE(open_unconfigured(fixture.context, fmt::format("record:{}", file_)))
      << "the URI names no device to record";
}

// A file may have any length, and a device has no end.
TEST_F(RecordTest, OnlyTheBeginningOfAnotherFileIsRead) {
  ContextFixture fixture;
  std::FILE* const file = std::fopen(file_.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(::ftruncate(::fileno(file), std::int64_t{1} << 40), 0);
  std::fclose(file);
  const auto zeros = open_unconfigured(fixture.context, fmt::format("replay:{}", file_));
  ASSERT_FALSE(zeros);
  EXPECT_EQ(zeros.error().what, file_ + ": this is not a recording");
  for (const char* const device : {"/dev/zero", "/dev/null"}) {
    const auto opened = open_unconfigured(fixture.context, fmt::format("replay:{}", device));
    ASSERT_FALSE(opened) << device;
    EXPECT_EQ(opened.error().what, fmt::format("replay: {} is not a regular file", device));
  }
}

TEST_F(RecordTest, AFileHasOneRecording) {
  ContextFixture fixture;
  auto first = open_device(fixture.context, fmt::format("record:{},sim:0", file_));
  ASSERT_TRUE(first) << first.error().message();
  const auto second = open_device(fixture.context, fmt::format("record:{},sim:1", file_));
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::busy);
  EXPECT_THAT(second.error().message(), AllOf(HasSubstr(file_), HasSubstr("choose another file")));
  first->reset();
  const auto replayed = replay_device(fixture.context, file_, find_card_layout);
  EXPECT_TRUE(replayed) << replayed.error().message();
  EXPECT_TRUE(open_device(fixture.context, fmt::format("record:{},sim:1", file_))) << "the first one has ended";
}

TEST_F(RecordTest, AFullDiskIsLoggedOnceAlsoIfOnlyTheEndIsLost) {
  for (const int reads : {1, 10'000}) {
    ContextFixture fixture;
    auto device = open_device(fixture.context, fmt::format("record:{},sim:0", file_));
    ASSERT_TRUE(device) << device.error().message();
    const FullDisk full(80);
    const Bar bar = (*device)->bar(0).value();
    for (int i = 0; i < reads; ++i) static_cast<void>(bar.read32(hw::igb::STATUS::offset(0)));
    device->reset();
    EXPECT_EQ(fixture.log, "sim:0: record: cannot write " + file_ +
                               " (File too large): the recording is incomplete; record to a file system with free "
                               "space\n");
  }
}

}  // namespace
}  // namespace pollux::test
