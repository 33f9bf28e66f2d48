// SPDX-License-Identifier: BSD-3-Clause
// A quantum may be much smaller than a frame: rounds that give nothing are not done one by one.
#include <algorithm>
#include <deque>

#include "queueing_fixture.hpp"

namespace pollux::test {
namespace {

/// First in, first out; counts how often it is asked for its backlog.
class CountingFifo final : public QueueDiscipline {
 public:
  explicit CountingFifo(std::uint64_t& calls) : calls_(calls) {}
  [[nodiscard]] Time next_time(Time now) const noexcept override { return inner_->next_time(now); }
  [[nodiscard]] QueueBacklog backlog() const noexcept override {
    ++calls_;
    return inner_->backlog();
  }
  [[nodiscard]] std::uint64_t dropped() const noexcept override { return inner_->dropped(); }
  [[nodiscard]] std::vector<NamedCount> counters() const override { return inner_->counters(); }

 private:
  void take(std::span<Mbuf* const> frames, Time now) noexcept override { pass_to(*inner_, frames, now); }
  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept override {
    return get_from(*inner_, room, bytes, now);
  }
  void take_back(Mbuf& frame) noexcept override { return_to(*inner_, frame); }

  std::uint64_t& calls_;
  std::unique_ptr<QueueDiscipline> inner_ = *make_fifo();
};

struct BoundedWork : QueueingFixture {
  /// What deficit round robin as Shreedhar and Varghese describe it sends: the number of each frame. Frames of a class
  /// have the same length; each class has `frames` of them.
  static std::vector<std::uint64_t> one_by_one(const std::vector<std::uint32_t>& quanta,
                                               const std::vector<std::uint32_t>& lengths, unsigned frames) {
    std::vector<std::uint64_t> sent;
    std::vector<std::uint64_t> deficit(quanta.begin(), quanta.end());
    std::vector<unsigned> left(quanta.size(), frames);
    std::deque<std::size_t> active;
    for (std::size_t i = 0; i < quanta.size(); ++i) active.push_back(i);
    while (!active.empty()) {
      const std::size_t one = active.front();
      active.pop_front();
      for (; left[one] != 0 && lengths[one] <= deficit[one]; --left[one]) {
        deficit[one] -= lengths[one];
        sent.push_back(one * 100 + frames - left[one]);
      }
      if (left[one] == 0) continue;
      deficit[one] += quanta[one];
      active.push_back(one);
    }
    return sent;
  }
};

TEST_F(BoundedWork, DeficitRoundRobinSendsInTheSameOrderAsRoundByRound) {
  const std::vector<std::uint32_t> quanta{1, 7, 30, 2, 100};
  const std::vector<std::uint32_t> lengths{1500, 60, 100, 1000, 99};
  DrrOptions options;
  for (const std::uint32_t quantum : quanta) options.classes.push_back({quantum, fifo()});
  const Queue queue = must(make_deficit_round_robin(std::move(options)));
  for (std::uint64_t one = 0; one < quanta.size(); ++one) {
    for (std::uint64_t i = 0; i < 5; ++i) put(*queue, frame(one * 100 + i, one, lengths[one]));
  }
  EXPECT_EQ(get_burst(*queue), one_by_one(quanta, lengths, 5));
  expect_all_accounted_for(*queue);
}

TEST_F(BoundedWork, DeficitRoundRobinSkipsRoundsWithoutFrames) {
  constexpr std::uint32_t kClasses = 200;
  std::uint64_t calls = 0;
  DrrOptions options;
  for (std::uint32_t i = 0; i < kClasses; ++i) options.classes.push_back({1, std::make_unique<CountingFifo>(calls)});
  const Queue queue = must(make_deficit_round_robin(std::move(options)));
  for (std::uint64_t i = 0; i < kClasses; ++i) put(*queue, frame(i, i, 1500));
  calls = 0;
  EXPECT_EQ(get_burst(*queue).size(), 64U);
  EXPECT_LT(calls, 10 * kClasses) << "each class is looked at a few times, not in each of 1,500 rounds";
}

TEST_F(BoundedWork, FqCodelKeepsTheOrderOfFlowsWhenItSkipsRounds) {
  constexpr std::uint32_t kFlows = 200;
  FqCodelOptions options{.flows = 65536, .quantum = 1};
  options.classifier = [](std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
    std::ranges::transform(frames, numbers.begin(),
                           [](const Mbuf* one) { return static_cast<std::uint32_t>(one->user()); });
  };
  const Queue queue = must(make_fq_codel(options));
  for (std::uint64_t i = 0; i < 2 * kFlows; ++i) put(*queue, frame(i, i % kFlows, 1500));
  std::vector<std::uint64_t> numbers = get(*queue, 2 * kFlows);
  ASSERT_EQ(numbers.size(), 2 * kFlows);
  EXPECT_TRUE(std::ranges::is_sorted(numbers)) << "flows take turns in their order";
  expect_all_accounted_for(*queue);
}

}  // namespace
}  // namespace pollux::test
