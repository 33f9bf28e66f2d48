// SPDX-License-Identifier: BSD-3-Clause
// Generic code (std::swap, a container's algorithms) may assign an object to itself. Each movable type that owns
// something keeps it; Task has its test beside its others.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <utility>

#include "host/names.hpp"
#include "pollux/pollux.hpp"
#include "support/quiet_context.hpp"

namespace pollux {
namespace {

template <class T>
void assign_to_itself(T& object) {
  T& same = object;
  object = std::move(same);
}

struct SelfMove : testing::Test {
  Context context{test::quiet_context()};
};

TEST_F(SelfMove, APortStaysOpen) {
  auto port = open(context, "ring:a");
  ASSERT_TRUE(port);
  port->set_user(7);
  assign_to_itself(*port);
  EXPECT_EQ(port->state(), PortState::started);
  EXPECT_EQ(port->info().name, "ring:a");
  EXPECT_EQ(port->user(), 7U);
  Burst<1> burst;
  EXPECT_EQ(port->rx(0).rx_burst(burst), 0U);
}

TEST_F(SelfMove, APortThatIsAssignedToIsClosed) {
  auto first = open(context, "ring:a");
  auto second = open(context, "ring:b");
  ASSERT_TRUE(first && second);
  *first = *std::move(second);
  EXPECT_EQ(first->info().name, "ring:b");
  EXPECT_TRUE(open(context, "ring:a"));
}

TEST_F(SelfMove, MemoryStaysAllocated) {
  auto memory = context.allocate({.size = 4096});
  ASSERT_TRUE(memory);
  const std::uint64_t iova = memory->segments()[0].iova;
  assign_to_itself(*memory);
  ASSERT_EQ(memory->segments().size(), 1U);
  EXPECT_EQ(memory->segments()[0].iova, iova);
  EXPECT_GE(memory->size(), 4096U);
  auto other = context.allocate({.size = 4096});
  ASSERT_TRUE(other);
  EXPECT_NE(other->segments()[0].iova, iova);
}

TEST_F(SelfMove, ABurstKeepsItsFrames) {
  auto pool = Mempool::create(context, {.count = 64});
  ASSERT_TRUE(pool);
  MempoolCache cache(*pool);
  Burst<8> burst;
  ASSERT_TRUE(burst.fill(cache, 3));
  assign_to_itself(burst);
  EXPECT_EQ(burst.size(), 3U);
  EXPECT_EQ(pool->stats().unnamed_drops, 0U);
}

TEST_F(SelfMove, TelemetryKeepsItsSocket) {
  const std::string socket = testing::TempDir() + "pollux_self_move.sock";
  auto telemetry = Telemetry::create(context, {.socket = socket});
  ASSERT_TRUE(telemetry) << telemetry.error().message();
  assign_to_itself(*telemetry);
  EXPECT_EQ(telemetry->socket(), socket);
  EXPECT_TRUE(std::filesystem::exists(socket));
}

TEST_F(SelfMove, AFlowTableKeepsItsEntries) {
  auto table = FlowTable<std::string>::create({.capacity = 8, .max_age = Duration::max()});
  ASSERT_TRUE(table);
  table->store(1, "one", Time(0));
  assign_to_itself(*table);
  ASSERT_NE(table->find(1, Time(0)), nullptr);
  EXPECT_EQ(*table->find(1, Time(0)), "one");
}

TEST_F(SelfMove, AGroStaysUsable) {
  Gro gro;
  assign_to_itself(gro);
  Burst<8> burst;
  gro.flush(burst);
  EXPECT_EQ(gro.held(), 0U);
}

TEST_F(SelfMove, ACaptureFileStaysOpen) {
  const std::string path = testing::TempDir() + "pollux_self_move.pcap";
  {
    auto port = open(context, "pcap:out=" + path);
    ASSERT_TRUE(port) << port.error().message();
  }
  auto reader = CaptureFileReader::open(path, "test");
  ASSERT_TRUE(reader) << reader.error().message();
  assign_to_itself(*reader);
  CapturedFrame frame;
  EXPECT_EQ(reader->next(frame), CaptureFileReader::Outcome::end);
}

TEST_F(SelfMove, TheNamesOfCardsStay) {
  host::Names names;
  const std::string before = names.vendor(0x8086);
  assign_to_itself(names);
  EXPECT_EQ(names.vendor(0x8086), before);
}

}  // namespace
}  // namespace pollux
