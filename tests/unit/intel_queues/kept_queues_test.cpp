// SPDX-License-Identifier: BSD-3-Clause
// What is known of the queues of a program that has crashed. The program is stopped behind each instruction of a burst.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <set>
#include <vector>

#include "drivers/intel/queue/kept_queues.hpp"
#include "mem/context_state.hpp"
#include "pollux/pollux.hpp"

namespace pollux::drivers::intel {
namespace {

constexpr std::size_t kArea = std::size_t{512} << 10;
constexpr std::uint32_t kRing = 16;

TEST(QueueAtCrash, FramesOfAReceiveQueueAreInTheRingOrWereTakenByABurst) {
  QueueAtCrash queue{.next = 5, .mask = 15, .all = 1021, .counted = 21, .started = true};
  EXPECT_EQ(queue.unreturned(5), 0u);
  EXPECT_EQ(queue.unreturned(4), 15u) << "the ring is full";
  queue.counted = 18;  // a burst has moved on by three, and has not counted them
  EXPECT_EQ(queue.unreturned(7), 5u);
  queue.next = 1;
  queue.counted = 0xFFFF'FFFEU;
  EXPECT_EQ(queue.unreturned(2), 4u) << "counts wrap around";
  queue.counted = 2;  // a burst of one frame has counted it, and has not moved on
  EXPECT_EQ(queue.unreturned(2), 0u);
  queue.started = false;
  EXPECT_EQ(queue.unreturned(9), 0u);
}

TEST(QueueAtCrash, FramesOfATransmitQueueAreSentOrNot) {
  QueueAtCrash queue{.next = 40, .mask = 15, .all = 140, .counted = 40, .started = true};
  EXPECT_EQ(queue.unsent(8), 0u);
  EXPECT_EQ(queue.sent(8), 140u);
  EXPECT_EQ(queue.unsent(5), 3u) << "the link is down, or a burst had not told the card of them";
  EXPECT_EQ(queue.sent(5), 137u);
  queue.all = 137;
  queue.counted = 37;  // nor counted them
  EXPECT_EQ(queue.sent(5), 137u);
  queue.all = 141;
  queue.counted = 41;  // or counted one before it was written
  EXPECT_EQ(queue.sent(8), 140u);
  queue.all = 137;
  queue.counted = 37;
  queue.next = 90;  // frames in several slots
  EXPECT_EQ(queue.sent(90 % 16), 137u);
}

/// What survives a crash.
struct Shared {
  alignas(64) std::array<std::byte, kArea> area;
  alignas(64) std::array<std::uint32_t, 8> registers;  // the first is a tail
};

class KeptQueuesTest : public testing::Test {
 protected:
  void SetUp() override {
    void* const mapped = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    shared = new (mapped) Shared();
    before.resize(sizeof(Shared));
    // The places of words are the same in each program.
    const Program program(*this);
    rx = program.kept->describe(*program.queues, true, 1);
    tx = program.kept->describe(*program.queues, false, 1);
  }
  void TearDown() override { ::munmap(shared, sizeof(Shared)); }

  /// A program with a queue for each direction, whose ring the card has filled.
  struct Program {
    explicit Program(KeptQueuesTest& test) {
      const PortLimits limits{.max_rx_queues = 1, .max_tx_queues = 1, .max_mtu = 1500};
      kept = std::make_shared<KeptQueues>(nullptr, test.shared->area.data(), kArea);
      queues = std::make_unique<QueueSet>(limits, OffloadLimits{}, kAdvancedTx, KeptQueues::memory(kept));
      PlacedSettings settings;
      settings.rx.resize(1);
      settings.tx.resize(1);
      settings.queues.rx = {PlacedRxQueue{.ring = kRing, .pool = pool->core()}};
      settings.queues.tx = {PlacedTxQueue{.ring = kRing}};
      settings.burst_mode = BurstMode::scalar;
      rings = *RingMemory::allocate(*context.state(), settings.queues, -1, "test");
      const Bar bar(reinterpret_cast<volatile std::uint8_t*>(test.shared->registers.data()), 32);
      queues->setup({.bar = bar, .rdh = 8, .rdt = 12, .tdt = 0, .stride = 0}, settings, rings, context.state(), 0);
      EXPECT_TRUE(queues->fill());
      kept->set_started(QueueId::rx(0), *queues, true);
      kept->set_started(QueueId::tx(0), *queues, true);
      queues->rx(0)->open();
      queues->tx(0)->open();
    }
    ~Program() {
      ManualClock clock;
      EXPECT_TRUE(queues->rx(0)->close(clock, {}) && queues->tx(0)->close(clock, {}));
      queues->drain();
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    Context context{{.huge_pages = HugePages::never}};
    Result<Mempool> pool = Mempool::create(context, {.count = 128});
    std::shared_ptr<KeptQueues> kept;
    RingMemory rings;
    std::unique_ptr<QueueSet> queues;
  };

  /// Steps through `work`, and calls `look` behind each instruction that changes what survives.
  template <class Work, class Look>
  std::size_t step(Work work, Look look) {
    const pid_t child = ::fork();
    if (child == 0) {
      Program program(*this);
      work(program);
      ::_exit(0);
    }
    std::size_t changes = 0;
    int status = 0;
    while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
      if (changes == 0 || std::memcmp(before.data(), shared, sizeof(Shared)) != 0) {
        std::memcpy(before.data(), shared, sizeof(Shared));
        look();
        ++changes;
      }
      if (HasFailure() || ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) ::kill(child, SIGKILL);
    }
    EXPECT_TRUE(HasFailure() || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
    return changes;
  }
  static void begin() {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(4);
    ::raise(SIGSTOP);
  }
  [[nodiscard]] QueueAtCrash left(bool receives) {
    const auto found = KeptQueues::find(shared->area.data(), kArea, receives, receives ? rx : tx);
    EXPECT_TRUE(found && found->size() == 1);
    return found && found->size() == 1 ? found->front() : QueueAtCrash();
  }

  Shared* shared = nullptr;
  std::vector<std::byte> before;
  std::vector<std::uint64_t> rx, tx;
};

TEST_F(KeptQueuesTest, EachFrameOfABurstThatReceivesWasReturnedOrIsLost) {
  std::set<std::uint64_t> lost;
  constexpr std::uint32_t kFrames = 11;
  const auto changes = step(
      [](Program& program) {
        IntelRxQueue& queue = *program.queues->rx(0);
        for (std::uint32_t i = 0; i < kFrames; ++i)
          queue.descriptors[i] = {
              0, hw::intel::rx::kDone | hw::intel::rx::kEndOfPacket | std::uint64_t{60} << hw::intel::rx::kLengthShift};
        begin();
        Burst<8> burst;
        queue.rx_burst(burst, 1);
        burst = {};
        queue.rx_burst(burst);
        ::_exit(burst.size() == 8 ? 0 : 5);
      },
      [&] {
        const QueueAtCrash queue = left(true);
        EXPECT_EQ(queue.all + queue.unreturned(kFrames), kFrames);
        lost.insert(queue.unreturned(kFrames));
      });
  EXPECT_GT(changes, 6u);
  EXPECT_EQ(lost, (std::set<std::uint64_t>{2, 10, 11}));
}

TEST_F(KeptQueuesTest, EachFrameOfABurstThatSendsWasGivenToTheCardOrIsLost) {
  std::set<std::uint64_t> lost, sent;
  const auto changes = step(
      [](Program& program) {
        IntelTxQueue& queue = *program.queues->tx(0);
        std::array<Burst<4>, 2> bursts;
        MempoolCache cache(*program.pool);
        for (Burst<4>& burst : bursts) {
          if (!burst.fill(cache, 4)) ::_exit(6);
          for (Mbuf& mbuf : burst) std::memset(mbuf.append(60), 0xFF, 60);
        }
        begin();
        for (Burst<4>& burst : bursts) queue.tx_burst(burst);
        ::_exit(0);
      },
      [&] {
        const std::uint32_t told = shared->registers[0];
        const QueueAtCrash queue = left(false);
        EXPECT_EQ(queue.sent(told), told);
        sent.insert(told);
        lost.insert(queue.unsent(told));
      });
  EXPECT_GT(changes, 6u);
  EXPECT_EQ(sent, (std::set<std::uint64_t>{0, 4, 8}));
  EXPECT_EQ(lost, (std::set<std::uint64_t>{0, 4})) << "no burst was cut between its stores";
}

TEST_F(KeptQueuesTest, PlacesOutsideTheAreaAreRefused) {
  for (const auto& wrong : std::vector<std::vector<std::uint64_t>>{{0, 8, 8, 1},
                                                                   {kArea, 8, 8, 1, 15},
                                                                   {2, 8, 8, 1, 15},
                                                                   {0, kArea - 4, 8, 1, 15},
                                                                   {0, 4, 8, 1, 15},
                                                                   {0, 8, kArea - 8, 2, 15},
                                                                   {0, 8, ~std::uint64_t{7}, 1, 15},
                                                                   {0, 8, 8, 65, 15},
                                                                   {0, 8, 8, 1, 14},
                                                                   {0, 8, 8, 1, 0xFFFF},
                                                                   std::vector<std::uint64_t>(17 * 5, 0)}) {
    EXPECT_FALSE(KeptQueues::find(shared->area.data(), kArea, true, wrong)) << testing::PrintToString(wrong);
  }
  EXPECT_TRUE(KeptQueues::find(shared->area.data(), kArea, true, std::vector<std::uint64_t>{0, 8, 8, 1, 15}));
}

}  // namespace
}  // namespace pollux::drivers::intel
