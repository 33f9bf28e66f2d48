// SPDX-License-Identifier: BSD-3-Clause
// Every interleaving of arming, arrival and sleeping on virtio's receive queues: no order of events loses a wakeup. The
// device takes its steps between the calls of the polling thread, and before each instruction with which it arms.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "drivers/virtio/queue/rx_queue.hpp"
#include "explorer/choices.hpp"
#include "explorer/stepper.hpp"
#include "hw/virtio/net.hpp"
#include "mem/context_state.hpp"
#include "pollux/mem/burst.hpp"
#include "unit/mem/pool_fixture.hpp"

namespace pollux::test {
namespace {

namespace feature = hw::virtio::feature;
using hw::virtio::Features;

constexpr std::uint32_t kRingSize = 8;
constexpr std::uint32_t kFrameBytes = 60;
constexpr std::uint64_t kOutside = 0;  // the thread is between two calls

struct VirtioSleep {
  Features features = 0;
  std::uint32_t start = 0;  ///< position of the first frame that is explored
  std::uint32_t frames = 2;
  bool disarms = true;  ///< the thread disarms after each sleep
};

/// A queue whose arming is stepped through.
class SteppedQueue final : public drivers::virtio::VirtioRxQueue {
 public:
  SteppedQueue(const RxFilter& filter, std::function<bool(const SteppedThread&)> between)
      : drivers::virtio::VirtioRxQueue(filter, true), between_(std::move(between)) {}

 private:
  [[nodiscard]] bool watch() noexcept override {
    bool quiet = false;
    const std::span<const std::byte> rings(memory.descriptors.address, memory.extra.address);
    step_through([&] { quiet = drivers::virtio::VirtioRxQueue::watch(); }, rings, between_);
    return quiet;
  }

  std::function<bool(const SteppedThread&)> between_;
};

/// The device's side of the queue: 2.7.7, 2.7.10 and 2.8.10 of VIRTIO 1.2. Its steps are those between which the driver
/// can see or change something.
class UsingDevice {
 public:
  UsingDevice(const drivers::virtio::Virtqueue& memory, Features features)
      : memory_(memory),
        packed_((features & feature::kRingPacked) != 0),
        event_index_((features & feature::kEventIdx) != 0) {}

  /// Skips `frames`, as if they had come and gone.
  void begin_at(std::uint32_t position) { used_ = told_ = position; }

  /// Writes a used entry.
  void use() {
    const std::uint32_t slot = used_ & (kRingSize - 1);
    const std::uint32_t bytes = sizeof(hw::virtio::NetHeader) + kFrameBytes;
    if (packed_) {
      auto& entry = memory_.descriptors.at<hw::virtio::PackedDescriptor>()[slot];
      entry.length = bytes;
      entry.id = static_cast<std::uint16_t>(slot);
      __atomic_store_n(&entry.flags, hw::virtio::packed_used((used_ & kRingSize) == 0), __ATOMIC_RELEASE);
    } else {
      memory_.device.at<hw::virtio::UsedElement>(sizeof(hw::virtio::UsedRing))[slot] = {slot, bytes};
      __atomic_store_n(&memory_.device.at<hw::virtio::UsedRing>()->index, static_cast<std::uint16_t>(used_ + 1),
                       __ATOMIC_RELEASE);
    }
    ++used_;
  }
  /// Reads whether the driver wants to be told of what was used since the last time.
  [[nodiscard]] bool look() {
    const std::uint32_t old = std::exchange(told_, used_);
    return packed_ ? wants_packed(old) : wants_split(old);
  }
  [[nodiscard]] std::uint32_t used() const { return used_; }
  [[nodiscard]] bool has_to_look() const { return told_ != used_; }

 private:
  [[nodiscard]] bool wants_split(std::uint32_t old) const {
    if (!event_index_) return (memory_.driver.at<hw::virtio::AvailableRing>()->flags & hw::virtio::kNoInterrupt) == 0;
    const std::uint16_t event = *memory_.driver.at<std::uint16_t>(hw::virtio::split_used_event(kRingSize));
    return hw::virtio::passes_event(event, static_cast<std::uint16_t>(used_), static_cast<std::uint16_t>(old));
  }
  // The event is counted as the device counts: in the lap of `used_` if the wrap counters agree, else in the one
  // before.
  [[nodiscard]] bool wants_packed(std::uint32_t old) const {
    const auto wish = *memory_.driver.at<hw::virtio::EventSuppression>();
    if (wish.flags != hw::virtio::kEventDescriptor) return wish.flags == hw::virtio::kEventEnable;
    const bool wrap = (used_ & kRingSize) == 0;
    auto event = static_cast<std::uint16_t>(wish.offset_wrap & 0x7FFF);
    if ((wish.offset_wrap >> hw::virtio::kWrapBit != 0) != wrap) event = static_cast<std::uint16_t>(event - kRingSize);
    const auto now = static_cast<std::uint16_t>(used_ & (kRingSize - 1));
    const auto before = static_cast<std::uint16_t>(now - (used_ - old));
    return hw::virtio::passes_event(event, now, before);
  }

  drivers::virtio::Virtqueue memory_;
  bool packed_;
  bool event_index_;
  std::uint32_t used_ = 0;
  std::uint32_t told_ = 0;  // what was used before has been looked at
};

class VirtioSleepRun {
 public:
  VirtioSleepRun(const VirtioSleep& scenario, const drivers::virtio::Virtqueue& memory, const Mempool& pool,
                 Choices choices, std::set<std::string>& seen, std::vector<Choices::Path>& later)
      : scenario_(scenario),
        choices_(std::move(choices)),
        seen_(seen),
        later_(later),
        memory_(memory),
        device_(memory_, scenario.features) {
    filter_.set_promiscuous(true);
    queue_.setup({.memory = memory_,
                  .features = scenario.features,
                  .buffer_bytes = 1518,
                  .pool = pool.core(),
                  .cache = std::make_shared<MempoolCacheCore>(pool.core(), 64),
                  .port = 1});
    EXPECT_TRUE(queue_.fill(queue_.size(), {}));
    queue_.use_notifier({Bar(reinterpret_cast<volatile std::uint8_t*>(&doorbell_), sizeof doorbell_), 0, 0, false});
    begin_at(scenario.start);
    queue_.attach_vector(event_.get());
    EXPECT_GE(queue_.event_fd(), 0);
    queue_.open();
    EXPECT_FALSE(queue_.arm()) << "reports that it was opened";
    exploring_ = true;
  }
  ~VirtioSleepRun() {
    exploring_ = false;
    queue_.drain(DrainReason::stopped, {});
    queue_.retire();
  }

  /// Runs until nothing can happen any more. Returns whether a frame waits while the thread sleeps.
  [[nodiscard]] bool loses_wakeup() {
    for (int steps = 0; steps < 500; ++steps) {
      if (choices_.known()) return false;
      const std::vector<DeviceStep> device = device_steps();
      const bool runnable = phase_ != Phase::sleep || is_awake();
      const std::size_t options = device.size() + (runnable ? 1 : 0);
      if (options == 0) return received_ != scenario_.frames;
      const std::size_t chosen = choices_.choose(options, state(kOutside), seen_, later_);
      if (runnable && chosen == 0) {
        run_thread();
      } else {
        take(device[chosen - (runnable ? 1 : 0)]);
      }
    }
    ADD_FAILURE() << "the thread does not come to rest";
    return false;
  }

 private:
  enum class Phase : std::uint8_t { poll, arm, sleep };
  enum class DeviceStep : std::uint8_t { use, look, interrupt };

  // All frames before `position` have come and gone.
  void begin_at(std::uint32_t position) {
    const std::uint32_t lap = position / kRingSize * kRingSize;
    if ((scenario_.features & feature::kRingPacked) == 0) {
      queue_.next = lap;
      device_.begin_at(lap);
      memory_.device.at<hw::virtio::UsedRing>()->index = static_cast<std::uint16_t>(lap);
      queue_.published = lap + kRingSize;
    }
    queue_.publish_all();
    queue_.open();
    Burst<kRingSize> burst;
    for (std::uint32_t at = (scenario_.features & feature::kRingPacked) != 0 ? 0 : lap; at < position; ++at) {
      write_frame();
      device_.use();
      EXPECT_EQ(queue_.rx_burst(burst), 1U);
      burst = {};
    }
    static_cast<void>(device_.look());
  }
  void write_frame() {
    auto* const start = reinterpret_cast<std::byte*>(queue_.slots[device_.used() & (kRingSize - 1)]);
    const hw::virtio::NetHeader header{.num_buffers = 1};
    std::memset(start + queue_.fast_path.header_at, 2, sizeof header + kFrameBytes);
    std::memcpy(start + queue_.fast_path.header_at, &header, sizeof header);
  }

  [[nodiscard]] bool is_awake() const {
    pollfd waiting{queue_.event_fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
  }
  void run_thread() {
    switch (phase_) {
      case Phase::poll: {
        Burst<kRingSize> burst;
        received_ += queue_.rx_burst(burst);
        if (burst.size() == 0) phase_ = Phase::arm;
        break;
      }
      case Phase::arm:
        armed_ = queue_.arm();
        phase_ = armed_ ? Phase::sleep : Phase::poll;
        break;
      case Phase::sleep:
        if (scenario_.disarms) {
          queue_.disarm();
          armed_ = false;
        }
        phase_ = Phase::poll;
        break;
    }
  }
  [[nodiscard]] std::vector<DeviceStep> device_steps() const {
    std::vector<DeviceStep> steps;
    if (used_ < scenario_.frames) steps.push_back(DeviceStep::use);
    if (device_.has_to_look()) steps.push_back(DeviceStep::look);
    if (interrupts_) steps.push_back(DeviceStep::interrupt);
    return steps;
  }
  void take(DeviceStep step) {
    switch (step) {
      case DeviceStep::use:
        ++used_;
        write_frame();
        return device_.use();
      case DeviceStep::look: interrupts_ = device_.look() || interrupts_; return;
      case DeviceStep::interrupt: interrupts_ = false; static_cast<void>(::eventfd_write(event_.get(), 1));
    }
  }
  /// The device may take any number of steps before the thread's next access to the rings. False: it has nothing to do
  /// until the thread has armed.
  [[nodiscard]] bool let_device_act(const SteppedThread& thread) {
    while (exploring_ && !choices_.known()) {
      const std::vector<DeviceStep> device = device_steps();
      if (device.empty()) return false;
      if (!thread.points_there) return true;
      const std::size_t chosen = choices_.choose(device.size() + 1, state(thread.digest), seen_, later_);
      if (chosen == 0) return true;
      take(device[chosen - 1]);
    }
    return false;
  }
  /// Everything that determines what can follow. `thread`: a digest of it, within its arming.
  [[nodiscard]] std::string state(std::uint64_t thread) const {
    std::string text = std::to_string(thread) + '|';
    text += static_cast<char>('0' + static_cast<int>(phase_));
    text += static_cast<char>('0' + received_);
    text += static_cast<char>('0' + used_);
    text += device_.has_to_look() ? 'l' : '-';
    text += interrupts_ ? 'i' : '-';
    text += armed_ ? 'a' : '-';
    text += is_awake() ? 'e' : '-';
    const bool packed = (scenario_.features & feature::kRingPacked) != 0;
    const std::size_t bytes = packed ? sizeof(hw::virtio::EventSuppression) : hw::virtio::split_driver_bytes(kRingSize);
    for (std::size_t i = 0; i < bytes; ++i) text += static_cast<char>(memory_.driver.address[i]);
    return text;
  }

  const VirtioSleep& scenario_;
  Choices choices_;
  std::set<std::string>& seen_;
  std::vector<Choices::Path>& later_;
  FileDescriptor event_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::uint16_t doorbell_ = 0;
  const drivers::virtio::Virtqueue& memory_;
  UsingDevice device_;
  RxFilter filter_;
  SteppedQueue queue_{filter_, [this](const SteppedThread& thread) { return let_device_act(thread); }};
  Phase phase_ = Phase::poll;
  std::uint32_t received_ = 0;
  std::uint32_t used_ = 0;  // of the frames that are explored
  bool interrupts_ = false;
  bool armed_ = false;
  bool exploring_ = false;
};

struct SleepExplored {
  bool loses_wakeup = false;
  std::size_t states = 0;
  std::size_t runs = 0;
};

SleepExplored explore_virtio_sleep(const VirtioSleep& scenario) {
  PoolFixture fixture;
  const Mempool pool = fixture.pool({.count = 64, .data_room = 1518, .name = "sleep"});
  const auto memory =
      drivers::virtio::allocate_virtqueue(*fixture.context().state(), scenario.features, kRingSize, 64, -1, "explorer");
  EXPECT_TRUE(memory);
  SleepExplored result;
  std::set<std::string> seen;
  std::vector<Choices::Path> later{{}};
  while (!later.empty() && !result.loses_wakeup && !testing::Test::HasFailure()) {
    Choices choices(std::move(later.back()));
    later.pop_back();
    result.loses_wakeup = VirtioSleepRun(scenario, *memory, pool, std::move(choices), seen, later).loses_wakeup();
    ++result.runs;
  }
  result.states = seen.size();
  return result;
}

class VirtioSleeps : public testing::TestWithParam<Features> {
 protected:
  void SetUp() override {
    if (!kCanStep) GTEST_SKIP() << "only a release build for x86-64 can be stepped through";
  }
  static void expect_none_lost(const VirtioSleep& scenario) {
    const SleepExplored explored = explore_virtio_sleep(scenario);
    fmt::print("from position {}, {} frames: {} states, {} runs\n", scenario.start, scenario.frames, explored.states,
               explored.runs);
    EXPECT_FALSE(explored.loses_wakeup) << "from position " << scenario.start;
    EXPECT_GT(explored.states, 100U);
  }
};

// Ring and wrap counter wrap before position 8, and again before 16; a split ring's 16-bit indices before 65,536.
TEST_P(VirtioSleeps, NoInterleavingLosesAWakeup) {
  const bool packed = (GetParam() & feature::kRingPacked) != 0;
  for (const std::uint32_t start : {7U, 8U, packed ? 15U : 65535U}) {
    expect_none_lost({.features = GetParam(), .start = start, .frames = 1});
  }
}

TEST_P(VirtioSleeps, NoInterleavingOfTwoFramesLosesAWakeup) {
  expect_none_lost({.features = GetParam(), .start = 7, .frames = 2});
}

TEST_P(VirtioSleeps, LongNoInterleavingLosesAWakeupWithoutDisarming) {
  expect_none_lost({.features = GetParam(), .start = 7, .frames = 2, .disarms = false});
}

INSTANTIATE_TEST_SUITE_P(, VirtioSleeps,
                         testing::Values(Features{0}, feature::kEventIdx, feature::kRingPacked,
                                         feature::kRingPacked | feature::kEventIdx),
                         [](const auto& named) {
                           return std::string((named.param & feature::kRingPacked) != 0 ? "Packed" : "Split") +
                                  ((named.param & feature::kEventIdx) != 0 ? "WithEventIndex" : "");
                         });

}  // namespace
}  // namespace pollux::test
