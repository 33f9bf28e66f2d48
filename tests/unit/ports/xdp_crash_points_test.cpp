// SPDX-License-Identifier: BSD-3-Clause
// A program with a kept queue is stopped behind each of its instructions: KeptMemory::recover finds each buffer, and
// each frame, as it would after a crash there.
#include <gmock/gmock.h>
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

#include "mem/context_state.hpp"
#include "pollux/pollux.hpp"
#include "ports/xdp/kept_memory.hpp"
#include "ports/xdp/queues.hpp"

namespace pollux::xdp {
namespace {

constexpr std::uint32_t kSlots = 16;
constexpr std::uint32_t kCount = 8;
constexpr std::uint64_t kBuffer = KeptMemory::kBuffer;
constexpr std::size_t kFront = std::size_t{1} << 20;
constexpr KeptMemory::Buffers kRx{0, kCount};
constexpr KeptMemory::Buffers kTx{kCount * kBuffer, kCount};

template <class Entry>
struct Positions {
  std::uint32_t producer = 0;
  std::uint32_t consumer = 0;
  std::uint32_t flags = 0;
  std::array<Entry, kSlots> entries{};
  void put(const Entry& entry) { entries[producer++ % kSlots] = entry; }
  Ring<Entry> ring() {
    return {
        .producer = &producer, .consumer = &consumer, .flags = &flags, .entries = entries.data(), .mask = kSlots - 1};
  }
};

/// What survives a crash, but for the memory.
struct Kernel {
  Positions<xdp_desc> rx, tx;
  Positions<std::uint64_t> fill, completion;
  Rings rings() { return {rx.ring(), tx.ring(), fill.ring(), completion.ring()}; }
};

class XdpCrashPoints : public testing::Test {
 protected:
  void SetUp() override {
    for (FileDescriptor* file : {&file_, &copy_}) {
      auto made = KeptMemory::make_file("xdp:eth1", 2 * kCount);
      ASSERT_TRUE(made);
      *file = *std::move(made);
    }
    void* const mapped = ::mmap(nullptr, sizeof(Kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    kernel_ = new (mapped) Kernel();
    auto kept = KeptMemory::map("xdp:eth1", file_.get());
    ASSERT_TRUE(kept);
    kept_ = *std::move(kept);
    for (std::uint64_t i = 0; i < kCount; ++i) kernel_->fill.put(i * kBuffer);
    inherited_ = ::dup(file_.get());
    void* const front = ::mmap(nullptr, kFront, PROT_READ, MAP_SHARED, file_.get(), 0);
    ASSERT_NE(front, MAP_FAILED);
    front_ = static_cast<const std::uint8_t*>(front);
    kept_->settle(0, kernel_->rings(), {0, 0, 0, 0, 0, 0});
    // Three frames, the second of which has two buffers; three that were sent, two of which come back.
    for (const std::uint32_t options : {0U, kContinues, 0U, 0U})
      kernel_->rx.put({.addr = kernel_->fill.entries[kernel_->fill.consumer++], .len = 60, .options = options});
    for (std::uint64_t i = 0; i < 3; ++i) {
      kernel_->tx.put({.addr = kTx.first + i * kBuffer, .len = 60, .options = 0});
      kept_->marks()[kCount + i] = 1;
    }
    kernel_->tx.consumer = 2;
    for (std::uint64_t i = 0; i < 2; ++i) kernel_->completion.put(kTx.first + i * kBuffer);
  }
  void TearDown() override {
    ::munmap(kernel_, sizeof(Kernel));
    ::close(inherited_);
    ::munmap(const_cast<std::uint8_t*>(front_), kFront);
  }

  /// The traced program, with all that it needs of its own: memory of a Context does not pass to a forked process.
  template <class Work>
  [[noreturn]] void be_traced(Work work) {
    Context context({.huge_pages = HugePages::never});
    auto pool = Mempool::create(context, {.count = 64});
    if (!pool) ::_exit(2);
    MempoolCache cache(*pool);
    auto memory = TakenMemory::map("xdp:eth1", FileDescriptor(::dup(inherited_)), KeptMemory::place(2 * kCount));
    auto kept = KeptMemory::map("xdp:eth1", inherited_);
    if (!memory || !kept) ::_exit(3);
    work(context, *pool, cache, *memory, **kept);
    ::_exit(0);
  }
  static void begin() {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(4);
    ::raise(SIGSTOP);
  }
  /// Steps through `work`, and calls `look` behind each instruction that changes what survives. Returns how often.
  template <class Work, class Look>
  std::size_t step(Work work, Look look) {
    const pid_t child = ::fork();
    if (child == 0) be_traced(work);
    std::size_t changes = 0;
    Kernel before;
    std::vector<std::uint8_t> front(kFront);
    int status = 0;
    while (::waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
      if (changes == 0 || std::memcmp(&before, kernel_, sizeof before) != 0 ||
          std::memcmp(front.data(), front_, kFront) != 0) {
        std::memcpy(&before, kernel_, sizeof before);
        std::memcpy(front.data(), front_, kFront);
        look();
        ++changes;
      }
      if (HasFailure() || ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) ::kill(child, SIGKILL);
    }
    EXPECT_TRUE(HasFailure() || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) << status;
    return changes;
  }
  /// What a successor finds if the program ends here.
  KeptMemory::Losses crash() {
    Kernel left;
    std::memcpy(&left, kernel_, sizeof left);
    EXPECT_EQ(::pwrite(copy_.get(), front_, kFront, 0), static_cast<ssize_t>(kFront));
    auto kept = KeptMemory::map("xdp:eth1", copy_.get());
    if (!kept) return {};
    const auto found = (*kept)->recover(0, left.rings(), kRx, kTx);
    EXPECT_TRUE(found) << found.error().message();
    if (!found) return {};
    std::multiset<std::uint64_t> rx;
    for (std::uint32_t i = left.fill.consumer; i != left.fill.producer; ++i) rx.insert(left.fill.entries[i % kSlots]);
    for (std::uint32_t i = left.rx.consumer; i != left.rx.producer; ++i) rx.insert(left.rx.entries[i % kSlots].addr);
    EXPECT_EQ(rx.size(), kCount) << "each buffer of the receive queue is the kernel's";
    EXPECT_EQ(std::set(rx.begin(), rx.end()).size(), kCount) << "and once";
    EXPECT_TRUE(left.rx.consumer == 0 || left.rx.entries[left.rx.consumer - 1].options == 0) << "a frame was cut";
    const std::set<std::uint64_t> given(found->given.begin(), found->given.end());
    std::set<std::uint64_t> back;
    for (std::uint32_t i = left.completion.consumer; i != left.completion.producer; ++i)
      back.insert(left.completion.entries[i % kSlots]);
    for (std::uint32_t i = left.tx.consumer; i != left.tx.producer; ++i) {
      EXPECT_TRUE(given.contains(left.tx.entries[i % kSlots].addr)) << "a buffer to send is not free";
      back.insert(left.tx.entries[i % kSlots].addr);
    }
    for (const std::uint64_t address : given) EXPECT_TRUE(back.contains(address)) << "a buffer never comes back";
    EXPECT_EQ(found->in_flight, left.tx.producer - left.completion.consumer);
    return (*kept)->losses(1);
  }

  FileDescriptor file_, copy_;
  int inherited_ = -1;  // a FileDescriptor is closed in a forked process
  Kernel* kernel_ = nullptr;
  const std::uint8_t* front_ = nullptr;
  std::unique_ptr<KeptMemory> kept_;
};

TEST_F(XdpCrashPoints, ABurstThatReceives) {
  std::set<std::uint64_t> lost;
  const auto changes = step(
      [this](Context&, const Mempool& pool, MempoolCache& cache, const auto& memory, KeptMemory&) {
        RxFilter filter;
        filter.set_promiscuous(true);
        DeletionNotifier deletion{[] { return true; }, DeletionEvents(FileDescriptor())};
        XdpRxQueue queue{filter, deletion};
        queue.set_up(pool.core(), cache.core(), 3);
        queue.take(kernel_->rings(), -1, memory, kCount, {});
        queue.open();
        begin();
        Burst<32> burst;
        static_cast<RxQueue&>(queue).rx_burst(burst, 2);  // the second frame has another buffer
        if (burst.size() == 0) ::_exit(5);
        static_cast<RxQueue&>(queue).rx_burst(burst, 2);
        ::_exit(0);
      },
      [&] {
        const KeptMemory::Losses all = crash();
        if (all.lost == 0) {
          EXPECT_EQ(all.received, kernel_->rx.consumer) << "descriptors";
        }
        lost.insert(all.lost);
      });
  EXPECT_GT(changes, 7U);
  EXPECT_GT(lost.size(), 1U) << "none was cut between the two stores";
}

TEST_F(XdpCrashPoints, ABurstThatSends) {
  std::set<std::uint64_t> lost;
  const auto changes = step(
      [this](Context& context, const Mempool&, MempoolCache& cache, const auto& memory, KeptMemory& kept) {
        XdpTxQueue queue;
        queue.set_up({.min_frame = 14, .max_frame = 1518, .offloads = 0}, cache.core(), context.state());
        queue.set_ring(kCount);
        handover::QueueRecord record{.posted = 0, .in_flight = 3, .free = {}, .given = {}, .counts = {}};
        for (std::uint64_t i = 0; i < kCount; ++i)
          (i < 3 ? record.given : record.free).push_back(kTx.first + i * kBuffer);
        if (!queue.take(kernel_->rings(), -1, memory, record, 4, kept.marks())) ::_exit(5);
        queue.open();
        Burst<4> burst;
        if (!burst.fill(cache, 4)) ::_exit(6);
        for (Mbuf& mbuf : burst) std::memset(mbuf.append(60), 0xFF, 60);
        begin();
        static_cast<TxQueue&>(queue).tx_burst(burst);
        ::_exit(0);
      },
      [&] { lost.insert(crash().lost); });
  EXPECT_GT(changes, 10U);
  EXPECT_THAT(lost, testing::ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(XdpCrashPoints, ASuccessorThatRepairs) {
  kernel_->rx.consumer += 3;
  for (std::uint32_t i = 0; i < 3; ++i) kernel_->fill.entries[kCount + i] = i * kBuffer;
  for (std::uint32_t i = 0; i < 3; ++i) {
    kernel_->tx.entries[3 + i] = {.addr = kTx.first + (5 + i) * kBuffer, .len = 60, .options = 0};
    kept_->marks()[kCount + 5 + i] = 1;
  }
  const auto changes = step(
      [this](Context&, const Mempool&, MempoolCache&, const auto&, KeptMemory& kept) {
        const Rings rings = kernel_->rings();
        begin();
        ::_exit(kept.recover(0, rings, kRx, kTx) ? 0 : 5);
      },
      [&] { EXPECT_EQ(crash().lost, 2U + 3U) << "each is counted once"; });
  EXPECT_GT(changes, 6U);
}

}  // namespace
}  // namespace pollux::xdp
