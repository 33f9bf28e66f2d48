// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pollux/mem/context.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/runtime/queueing/queue_disciplines.hpp"

namespace pollux::test {

/// A Context with a manual clock and a pool; frames whose number is their timestamp and whose class is Mbuf::user().
class QueueingFixture : public testing::Test {
 protected:
  using Queue = std::unique_ptr<QueueDiscipline>;

  ~QueueingFixture() override {
    for (const std::string& what : misuse_) ADD_FAILURE() << "misuse: " << what;
  }
  template <class T>
  static T must(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  static Queue fifo(std::uint32_t frames = 1000) { return must(make_fifo({.frames = frames})); }

  MbufPtr frame(std::uint64_t number, std::uint64_t band = 0, std::uint32_t length = 100) {
    MbufPtr made = cache_.allocate();
    if (made == nullptr || made->append(length) == nullptr) throw std::runtime_error("no frame");
    std::fill_n(made->data(), length, std::uint8_t{0});
    made->set_timestamp(number);
    made->set_user(band);
    return made;
  }
  void put(QueueDiscipline& queue, MbufPtr one, Time now = {}) {
    Burst<1> burst;
    ASSERT_TRUE(burst.push(one));
    queue.enqueue(burst, now);
    EXPECT_TRUE(burst.empty());
    ++put_;
  }
  /// The numbers of the next frames, which are freed.
  std::vector<std::uint64_t> get(QueueDiscipline& queue, std::uint32_t most = 64, Time now = {},
                                 std::uint64_t bytes = QueueDiscipline::kNoByteLimit) {
    std::vector<std::uint64_t> numbers;
    Burst<1> burst;
    while (numbers.size() < most && queue.dequeue(burst, now, bytes) != 0) {
      numbers.push_back(burst[0].timestamp());
      burst.drop(sent_);
    }
    return numbers;
  }
  std::vector<std::uint64_t> get_burst(QueueDiscipline& queue, Time now = {},
                                       std::uint64_t bytes = QueueDiscipline::kNoByteLimit) {
    Burst<64> burst;
    queue.dequeue(burst, now, bytes);
    std::vector<std::uint64_t> numbers;
    for (const Mbuf& one : burst) numbers.push_back(one.timestamp());
    burst.drop(sent_);
    return numbers;
  }
  /// No frame is lost without a name.
  void expect_all_accounted_for(const QueueDiscipline& queue) {
    EXPECT_EQ(put_, sent_.value() + queue.dropped() + queue.backlog().frames);
    std::uint64_t named = 0;
    for (const NamedCount& one : queue.counters()) {
      if (one.name.find("drop_") != std::string::npos) named += one.value;
    }
    EXPECT_EQ(named, queue.dropped());
  }
  static std::uint64_t count(const QueueDiscipline& queue, const std::string& name) {
    for (const NamedCount& one : queue.counters()) {
      if (one.name == name) return one.value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
  template <class T>
  static void expect_rejected(const Result<T>& result, const std::string& word) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(result.error().what.find(word), std::string::npos) << result.error().what;
    EXPECT_FALSE(result.error().hint.empty());
  }

  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>();
  std::vector<std::string> misuse_;
  Context context_{{.clock = clock_,
                    .on_misuse = [this](const Misuse& what) { misuse_.push_back(what.what); },
                    .huge_pages = HugePages::never}};
  Mempool pool_ = must(Mempool::create(context_, {.count = 16384, .data_room = 2048, .headroom = 0}));
  MempoolCache cache_{pool_};
  DropCounter sent_{"sent"};
  std::uint64_t put_ = 0;
};

}  // namespace pollux::test
