// SPDX-License-Identifier: BSD-3-Clause
// The driver's half of a ring in one thread and the device's in another, with nothing but the ring between them. Under
// the thread sanitizer this shows that the device reads no more than what the driver has published.
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

#include "drivers/virtio/queue/rx_queue.hpp"
#include "unit/models/virtio/fixture.hpp"

namespace pollux::models::virtio {
namespace {

class VirtioRingThreads : public ::testing::Test {
 protected:
  static constexpr std::uint16_t kSize = 256;
  static constexpr std::uint64_t kDescriptors = TestMemory::kBase;
  static constexpr std::uint64_t kDriver = kDescriptors + 0x4000;
  static constexpr std::uint64_t kDevice = kDriver + 0x4000;
  /// Far more than the run takes. Only a failing test waits this long.
  static constexpr auto kLimit = std::chrono::seconds(60);

  VirtioRingThreads() { accesses.connect(&memory); }

  template <class T>
  [[nodiscard]] T* at(std::uint64_t iova) {
    return reinterpret_cast<T*>(memory.translate(iova, sizeof(T)));
  }
  [[nodiscard]] static constexpr std::uint64_t buffer(std::uint32_t id) { return 0x1000'0000 + 0x800ULL * id; }

  /// The device takes all entries of a receive queue, each of which `post` makes available in another thread.
  void expect_all(hw::Features features, const std::function<void(std::uint32_t)>& post) {
    queue.setup() = {.size = kSize, .areas = {kDescriptors, kDriver, kDevice}};
    ASSERT_TRUE(queue.enable(features));
    const auto deadline = std::chrono::steady_clock::now() + kLimit;
    std::thread driver([&post] {
      for (std::uint32_t position = 0; position < kSize; ++position) post(position);
    });
    std::uint32_t taken = 0;
    for (Chain chain; taken < kSize && std::chrono::steady_clock::now() < deadline;) {
      const Queue::Take take = queue.take(chain);
      if (take == Queue::Take::empty) continue;
      EXPECT_EQ(take, Queue::Take::taken);
      if (take != Queue::Take::taken || chain.writable.size() != 1) break;
      EXPECT_EQ(chain.id, taken);
      EXPECT_EQ(chain.writable[0].iova, buffer(taken));
      EXPECT_EQ(chain.writable[0].length, 1000 + taken);
      ++taken;
    }
    driver.join();
    EXPECT_EQ(taken, kSize);
  }

  TestMemory memory;
  Memory accesses;
  Faults faults;
  Queue queue{accesses, faults, 0, kSize};
};

TEST_F(VirtioRingThreads, APackedDescriptorIsSeenWhole) {
  drivers::virtio::PackedRing ring;
  ring.descriptors = at<hw::PackedDescriptor>(kDescriptors);
  ring.mask = kSize - 1;
  expect_all(hw::feature::kRingPacked, [&ring](std::uint32_t position) {
    drivers::virtio::post(ring, position, position, buffer(position), 1000 + position);
  });
}

TEST_F(VirtioRingThreads, ASplitEntryIsSeenWhole) {
  drivers::virtio::SplitRing ring;
  ring.descriptors = at<hw::SplitDescriptor>(kDescriptors);
  ring.driver = at<hw::AvailableRing>(kDriver);
  ring.available = at<std::uint16_t>(kDriver + sizeof(hw::AvailableRing));
  ring.device = at<hw::UsedRing>(kDevice);
  ring.mask = kSize - 1;
  at<hw::UsedRing>(kDevice)->flags = hw::kNoNotify;
  expect_all({}, [&ring](std::uint32_t position) {
    drivers::virtio::post(ring, position, position, buffer(position), 1000 + position);
    ring.publish(position, position + 1, 0, drivers::virtio::Notifier());
  });
}

}  // namespace
}  // namespace pollux::models::virtio
