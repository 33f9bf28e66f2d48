// SPDX-License-Identifier: BSD-3-Clause
#include "device/record_format.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "support/full_disk.hpp"

namespace pollux {
namespace {

std::string temporary_file() { return testing::TempDir() + "pollux-record-" + std::to_string(::getpid()) + ".rec"; }

std::vector<std::byte> bytes_of(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  const auto* const first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

const std::vector<std::byte> kFrame(60, std::byte{0x42});

std::vector<RecordEvent> one_of_each() {
  return {{.kind = RecordEvent::Kind::read, .bar = 3, .offset = 0x1234, .value = 0x89ABCDEF},
          {.kind = RecordEvent::Kind::write, .bar = 0, .offset = 0xC018, .value = 7},
          {.kind = RecordEvent::Kind::read, .bar = 0, .width = 1, .offset = 0x17, .value = 0x80},
          {.kind = RecordEvent::Kind::write, .bar = 4, .width = 2, .offset = 0x16, .value = 0xFFFF},
          {.kind = RecordEvent::Kind::flush, .value = 3},
          {.kind = RecordEvent::Kind::write_back,
           .bar = 1,
           .queue = 15,
           .slot = 4095,
           .words = 3,
           .descriptor = {{0x1122334455667788, 0x99AABBCCDDEEFF00, 7}},
           .payload = kFrame,
           .header = std::span(kFrame).first(14)},
          {.kind = RecordEvent::Kind::write_back, .bar = 0, .queue = 1, .slot = 2},
          {.kind = RecordEvent::Kind::interrupt, .queue = 9},
          {.kind = RecordEvent::Kind::removed},
          {.kind = RecordEvent::Kind::config_read, .bar = 2, .outcome = 1, .offset = 0xFFE, .value = 5},
          {.kind = RecordEvent::Kind::config_write, .bar = 4, .offset = 4, .value = 6},
          {.kind = RecordEvent::Kind::bus_master, .bar = 1},
          {.kind = RecordEvent::Kind::reset, .outcome = 4},
          {.kind = RecordEvent::Kind::interrupts_on, .queue = 10}};
}

std::vector<std::byte> recording(const std::vector<RecordEvent>& events) {
  const std::string file = temporary_file();
  {
    auto writer = RecordWriter::create(file, {.identity = {.vendor = 0x8086, .device = 0x10C9, .revision = 1},
                                              .vectors = 10,
                                              .bars = {0x20000, 0, 0, 0x4000, 0, 0},
                                              .name = "sim:0"});
    EXPECT_TRUE(writer) << writer.error().message();
    for (const RecordEvent& event : events) writer->add(event);
    EXPECT_FALSE(writer->failure());
  }
  auto bytes = bytes_of(file);
  std::remove(file.c_str());
  return bytes;
}

bool same(const RecordEvent& a, const RecordEvent& b) {
  return a.kind == b.kind && a.bar == b.bar && a.width == b.width && a.outcome == b.outcome && a.queue == b.queue &&
         a.slot == b.slot && a.offset == b.offset && a.value == b.value && a.words == b.words &&
         a.descriptor == b.descriptor && std::ranges::equal(a.payload, b.payload) &&
         std::ranges::equal(a.header, b.header);
}

TEST(RecordFormat, ReadsBackWhatWasWritten) {
  const auto events = one_of_each();
  auto reader = RecordReader::open(recording(events));
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(reader->header().identity.device, 0x10C9);
  EXPECT_EQ(reader->header().identity.revision, 1);
  EXPECT_EQ(reader->header().vectors, 10);
  EXPECT_EQ(reader->header().bars[3], 0x4000u);
  EXPECT_EQ(reader->header().name, "sim:0");
  EXPECT_TRUE(reader->complete());
  for (const RecordEvent& event : events) {
    EXPECT_TRUE(same(reader->peek(), event)) << reader->position();
    reader->advance();
  }
  EXPECT_EQ(reader->peek().kind, RecordEvent::Kind::end);
  reader->advance();
  EXPECT_EQ(reader->peek().kind, RecordEvent::Kind::end);
  EXPECT_EQ(reader->position(), events.size());
}

TEST(RecordFormat, ATruncatedRecordingYieldsItsCompleteEvents) {
  const auto events = one_of_each();
  const auto bytes = recording(events);
  const auto header = recording({}).size() - 1;
  std::uint64_t previous = 0;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    auto reader = RecordReader::open({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)});
    if (size < header) {
      ASSERT_FALSE(reader) << size;
      EXPECT_EQ(reader.error().code, ErrorCode::invalid_argument);
      continue;
    }
    ASSERT_TRUE(reader) << size << ": " << reader.error().message();
    EXPECT_FALSE(reader->complete());
    for (; reader->peek().kind != RecordEvent::Kind::end; reader->advance()) {
      EXPECT_TRUE(same(reader->peek(), events[reader->position()]));
    }
    EXPECT_GE(reader->position(), previous);
    previous = reader->position();
  }
  EXPECT_EQ(previous, events.size());
}

TEST(RecordFormat, RejectsOtherFilesAndOtherVersions) {
  auto bytes = recording({});
  auto other = bytes;
  for (const unsigned number : {0U, 5U}) {
    other[8] = static_cast<std::byte>(number);
    const auto version = RecordReader::open(other);
    ASSERT_FALSE(version);
    EXPECT_NE(version.error().what.find("version " + std::to_string(number)), std::string::npos)
        << version.error().what;
    EXPECT_NE(version.error().what.find("versions 1 to 4"), std::string::npos);
  }
  other = bytes;
  other[0] = std::byte{'p'};
  const auto magic = RecordReader::open(other);
  ASSERT_FALSE(magic);
  EXPECT_EQ(magic.error().what, "this is not a recording");
  bytes.push_back(std::byte{1});
  const auto more = RecordReader::open(bytes);
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().what.find("after its end mark"), std::string::npos);
}

// Its register accesses have no width: all have 32 bits. A write-back has two words.
TEST(RecordFormat, ReadsARecordingOfVersion1) {
  auto bytes = recording({});
  bytes[8] = std::byte{1};
  bytes.pop_back();                                                                      // the end mark
  for (const unsigned byte : {1U, 3U, 0x34U, 0x12U, 0U, 0U, 0xEFU, 0xCDU, 0xABU, 0x89U,  // a read
                              2U, 0U, 0x18U, 0xC0U, 0U, 0U, 7U,    0U,    0U,    0U,     // a write
                              4U, 1U, 15U,   0U,    9U, 0U, 5U,    0U,    0U,    0U,     // a write-back
                              0U, 0U, 0U,    0U,    6U, 0U, 0U,    0U,    0U,    0U,    0U, 0U, 0U, 0U, 0U, 0U, 12U}) {
    bytes.push_back(static_cast<std::byte>(byte));
  }
  auto reader = RecordReader::open(bytes);
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_TRUE(reader->complete());
  const auto events = one_of_each();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(same(reader->peek(), events[i])) << i;
    reader->advance();
  }
  EXPECT_TRUE(same(
      reader->peek(),
      {.kind = RecordEvent::Kind::write_back, .bar = 1, .queue = 15, .slot = 9, .words = 2, .descriptor = {{5, 6}}}));
  reader->advance();
  EXPECT_EQ(reader->peek().kind, RecordEvent::Kind::end);
}

TEST(RecordFormat, RejectsDescriptorsThatAreTooLong) {
  auto bytes = recording({{.kind = RecordEvent::Kind::write_back, .words = 8}});
  ASSERT_TRUE(RecordReader::open(bytes));
  const std::size_t words = recording({}).size() - 1 + 6;
  ASSERT_EQ(bytes.at(words), std::byte{8});
  bytes[words] = std::byte{9};
  EXPECT_FALSE(RecordReader::open(bytes));
}

TEST(RecordFormat, RejectsInvalidNumbers) {
  const std::vector<RecordEvent> bad{{.kind = RecordEvent::Kind::read, .bar = 6},
                                     {.kind = RecordEvent::Kind::flush},
                                     {.kind = RecordEvent::Kind::write, .offset = 2},
                                     {.kind = RecordEvent::Kind::write, .width = 2, .offset = 1},
                                     {.kind = RecordEvent::Kind::read, .width = 0, .offset = 4},
                                     {.kind = RecordEvent::Kind::read, .width = 3, .offset = 3},
                                     {.kind = RecordEvent::Kind::read, .width = 8, .offset = 8},
                                     {.kind = RecordEvent::Kind::config_read, .bar = 3},
                                     {.kind = RecordEvent::Kind::config_read, .bar = 4, .offset = 4096},
                                     {.kind = RecordEvent::Kind::bus_master, .bar = 2},
                                     {.kind = RecordEvent::Kind::reset, .outcome = 200},
                                     {.kind = RecordEvent::Kind::interrupts_on, .queue = 60000},
                                     {.kind = static_cast<RecordEvent::Kind>(77)}};
  for (const RecordEvent& event : bad) {
    const auto reader = RecordReader::open(recording({{.kind = RecordEvent::Kind::flush, .value = 3}, event}));
    ASSERT_FALSE(reader) << static_cast<int>(event.kind);
    EXPECT_NE(reader.error().what.find("damaged at byte"), std::string::npos) << reader.error().what;
  }
  std::vector<std::byte> huge(RecordEvent::kMaxPayload + 1);
  EXPECT_FALSE(RecordReader::open(recording({{.kind = RecordEvent::Kind::write_back, .payload = huge}})));
}

TEST(RecordFormat, AcceptsOrRejectsDamagedBytesWithoutACrash) {
  const auto bytes = recording(one_of_each());
  std::mt19937 random(1);
  std::size_t opened = 0;
  for (int round = 0; round < 20000; ++round) {
    auto damaged = bytes;
    for (auto i = random() % 4; i-- != 0;) damaged[random() % damaged.size()] = static_cast<std::byte>(random());
    if (random() % 4 == 0) damaged.resize(random() % damaged.size());
    auto reader = RecordReader::open(std::move(damaged));
    if (!reader) continue;
    ++opened;
    std::size_t sum = 0;
    for (; reader->peek().kind != RecordEvent::Kind::end; reader->advance()) sum += reader->peek().payload.size();
    EXPECT_LE(sum, bytes.size());
  }
  EXPECT_GT(opened, 1000u) << "damage must also hit events, not only the header";
}

TEST(RecordFormat, ReportsTheNameOfAFileThatCannotBeWritten) {
  const auto writer = RecordWriter::create("/nowhere/at/all.rec", {});
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().what.find("/nowhere/at/all.rec"), std::string::npos);
}

TEST(RecordFormat, AFullDiskEndsTheRecording) {
  const std::string file = temporary_file();
  auto writer = RecordWriter::create(file, {});
  ASSERT_TRUE(writer) << writer.error().message();
  const test::FullDisk full(100);
  for (int i = 0; i < 100'000 && !writer->failure(); ++i) writer->add({.kind = RecordEvent::Kind::flush, .value = 3});
  ASSERT_TRUE(writer->failure());
  EXPECT_NE(writer->failure()->what.find(file + " (File too large)"), std::string::npos);
  std::remove(file.c_str());
}

TEST(RecordFormat, WhatIsBufferedCountsAsWrittenOnlyAtTheEnd) {
  const std::string file = temporary_file();
  auto writer = RecordWriter::create(file, {});
  ASSERT_TRUE(writer) << writer.error().message();
  const test::FullDisk full(100);
  for (int i = 0; i < 100; ++i) writer->add({.kind = RecordEvent::Kind::flush, .value = 3});
  EXPECT_FALSE(writer->failure());
  writer->finish();
  ASSERT_TRUE(writer->failure());
  EXPECT_NE(writer->failure()->what.find(file + " (File too large)"), std::string::npos);
  std::remove(file.c_str());
}

TEST(RecordFormat, AFileWithoutRoomForTheHeaderIsRejected) {
  const test::FullDisk full(10);
  const auto writer = RecordWriter::create(temporary_file(), {});
  std::remove(temporary_file().c_str());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, ErrorCode::io_error);
  EXPECT_NE(writer.error().what.find(temporary_file()), std::string::npos);
}

}  // namespace
}  // namespace pollux
