// SPDX-License-Identifier: BSD-3-Clause
// Devices that are refused by name, and one that writes anything to the memory that it shares with the driver.
#include <gmock/gmock.h>

#include <random>
#include <vector>

#include "pollux/mem/drop_counter.hpp"
#include "unit/vmxnet3/fake_device.hpp"

namespace pollux {
namespace {

using test::FakeVmxnet3;
using test::FakeVmxnet3Fixture;
using testing::HasSubstr;
namespace vmx = hw::vmxnet3;

struct Refusal {
  std::string name;
  std::function<void(FakeVmxnet3&)> change;
  ErrorCode code;
  std::string said;
  std::string hint;
};
std::ostream& operator<<(std::ostream& out, const Refusal& refusal) { return out << refusal.name; }

class Vmxnet3Refusals : public testing::TestWithParam<Refusal> {};

INSTANTIATE_TEST_SUITE_P(
    , Vmxnet3Refusals,
    testing::Values(Refusal{"Revision", [](FakeVmxnet3& device) { device.revisions = 6; }, ErrorCode::not_supported,
                            "lacks revision 1 of vmxnet3: its revisions are 0x6", "hardware version"},
                    Refusal{"NoRevision", [](FakeVmxnet3& device) { device.revisions = 0; }, ErrorCode::not_supported,
                            "its revisions are 0x0", "hardware version"},
                    Refusal{"Upt", [](FakeVmxnet3& device) { device.upt_versions = 2; }, ErrorCode::not_supported,
                            "lacks version 1 of UPT: its versions are 0x2", "DirectPath"},
                    Refusal{"Bar", [](FakeVmxnet3& device) { device.control_bytes = 64; }, ErrorCode::device_fault,
                            "BAR 1 has 64 bytes and should have 4096", "vendor and device id"},
                    Refusal{"Removed", [](FakeVmxnet3& device) { device.removed = true; }, ErrorCode::device_removed,
                            "registers read all ones", "open it again"},
                    Refusal{"Reset", [](FakeVmxnet3& device) { device.reset_result = 1; }, ErrorCode::timeout,
                            "the device's reset", ""},
                    Refusal{"Activation", [](FakeVmxnet3& device) { device.activation_result = 0xBAD; },
                            ErrorCode::device_fault, "the device does not start: its result is 0xbad", "queues"}),
    [](const auto& row) { return row.param.name; });

TEST_P(Vmxnet3Refusals, AreNamed) {
  FakeVmxnet3Fixture fixture(GetParam().change);
  const auto port = fixture.start();
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, GetParam().code) << port.error().message();
  EXPECT_THAT(port.error().message(), HasSubstr(GetParam().said));
  EXPECT_THAT(port.error().message(), HasSubstr(GetParam().hint));
  EXPECT_EQ(fixture.pool.stats().in_use(), 0U);
}

TEST(Vmxnet3Device, RevisionOneIsChosenWhateverElseThereIs) {
  FakeVmxnet3Fixture fixture([](FakeVmxnet3& device) { device.revisions = 0x7F; });
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(fixture.device->chosen, 1U);
  EXPECT_EQ(fixture.device->shared()->misc.revisions, 1U);
}

TEST(Vmxnet3Device, AChangeToPassThroughIsRefused) {
  FakeVmxnet3Fixture fixture;
  auto port = fixture.start();
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_TRUE(port->service());
  fixture.device->shared()->events = vmx::event::kImplementation;
  const auto serviced = port->service();
  ASSERT_FALSE(serviced);
  EXPECT_EQ(serviced.error().code, ErrorCode::not_supported);
  EXPECT_THAT(serviced.error().message(), HasSubstr("changes over to pass-through by UPT"));
}

TEST(Vmxnet3Device, AStoppedQueueIsNamedWithTheReason) {
  const std::vector<std::pair<std::uint32_t, std::string>> reasons{{0x80000000, "a frame without its last descriptor"},
                                                                   {0x80000004, "a buffer that is too small"},
                                                                   {0x80000007, "a descriptor that is not valid"},
                                                                   {0x80000008, "an unknown reason"},
                                                                   {1, "an unknown reason"}};
  for (const auto& [error, reason] : reasons) {
    for (const bool receives : {false, true}) {
      FakeVmxnet3Fixture fixture;
      auto port = fixture.start();
      ASSERT_TRUE(port) << port.error().message();
      vmx::QueueStatus& status = receives ? fixture.device->rx()->status : fixture.device->tx()->status;
      status = {.stopped = 1, .reserved = {}, .error = error};
      const auto serviced = port->service();
      ASSERT_FALSE(serviced);
      EXPECT_EQ(serviced.error().code, ErrorCode::device_fault);
      const std::string queue = receives ? "receive queue 0: " : "transmit queue 0: ";
      EXPECT_THAT(serviced.error().message(), HasSubstr("has stopped " + queue + reason));
    }
  }
}

/// Writes anything, anywhere in what driver and device share, as far as the driver has told the device of it.
void write_anything(FakeVmxnet3& device, std::mt19937& random, const vmx::TxQueueShared& tx,
                    const vmx::RxQueueShared& rx) {
  const auto below = [&](std::uint64_t end) { return static_cast<std::uint32_t>(random() % end); };
  const auto completion = [&](std::uint64_t ring, std::uint32_t size) {
    auto* const entries = device.at<vmx::Completion>(ring, size);
    ASSERT_NE(entries, nullptr);
    // Some are likely: of the slots that the device has, whole frames, either generation.
    const std::uint64_t low =
        random() % 2 == 0 ? random() : below(64) | vmx::rx::kStartOfPacket | vmx::rx::kEndOfPacket;
    const std::uint64_t high = random() % 2 == 0 ? std::uint64_t{random()} << 32 | random() : below(2100);
    entries[below(size)] = {low, high | (random() % 2 == 0 ? vmx::kCompletionGeneration : 0)};
  };
  const auto descriptor = [&](std::uint64_t ring, std::uint32_t size) {
    auto* const entries = device.at<vmx::Descriptor>(ring, size);
    ASSERT_NE(entries, nullptr);
    entries[below(size)] = {random(), random()};
  };
  switch (below(6)) {
    case 0:
    case 1: return completion(rx.completions, rx.completions_size);
    case 2: return completion(tx.completions, tx.completions_size);
    case 3: return descriptor(rx.ring[below(2)], rx.ring_size[0]);
    case 4: return descriptor(tx.ring, tx.ring_size);
    default: device.shared()->events = random() & ~vmx::event::kImplementation;
  }
}

TEST(Vmxnet3Device, WhateverTheDeviceWritesNoBufferIsLost) {
  DropCounter seen("seen");
  unsigned faults = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    FakeVmxnet3Fixture fixture;
    auto port = fixture.start();
    ASSERT_TRUE(port) << port.error().message();
    // A driver reads where its rings are nowhere but in its own memory, so the test keeps what it was told.
    const vmx::TxQueueShared tx = *fixture.device->tx();
    const vmx::RxQueueShared rx = *fixture.device->rx();
    for (int round = 0; round < 200; ++round) {
      write_anything(*fixture.device, random, tx, rx);
      if (random() % 16 == 0) std::memset(fixture.device->rx(), static_cast<int>(random()), sizeof rx);
      Burst<32> burst;
      port->rx(0).rx_burst(burst);
      for (const Mbuf& mbuf : burst) ASSERT_LE(mbuf.length(), 2048U);
      burst.drop(seen, fixture.cache);
      if (MbufPtr frame = fixture.cache.allocate()) {
        static_cast<void>(frame->append(60));
        ASSERT_TRUE(burst.push(frame));
        port->tx(0).tx_burst(burst);
        burst.drop(seen, fixture.cache);
      }
      static_cast<void>(port->stats());
    }
    faults += port->service() ? 0U : 1U;
    ASSERT_TRUE(port->close());
    fixture.cache = {};
    ASSERT_EQ(fixture.pool.stats().in_use(), 0U);
  }
  EXPECT_GT(faults, 30U) << "most of what it writes is noticed";
}

}  // namespace
}  // namespace pollux
