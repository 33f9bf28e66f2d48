// SPDX-License-Identifier: BSD-3-Clause
// Frames pass through a queueing discipline: one burst is enqueued and dequeued again.
#include <algorithm>
#include <functional>
#include <memory>

#include "fixture.hpp"
#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

constexpr std::uint32_t kClasses = 4;

class Queueing final : public Workload {
 public:
  Queueing(const Setup& setup, std::unique_ptr<QueueDiscipline> queue)
      : Workload(setup.frames(), 1),
        context_(logging_options()),
        pool_(need(Mempool::create(context_, {.count = setup.pool}))),
        queue_(std::move(queue)),
        burst_size_(setup.burst) {
    if (!burst_.fill(cache_, setup.burst)) give_up("the pool is too small");
    std::uint8_t host = 0;
    for (Mbuf& frame : burst_) write_packet(frame, host++);
  }
  ~Queueing() override { burst_.drop(measured_, cache_); }
  void prepare() override { now_ += std::chrono::milliseconds(1); }
  void run() override {
    for (std::uint32_t done = 0; done < operations(); done += burst_size_) {
      queue_->enqueue(burst_, now_);
      if (queue_->dequeue(burst_, now_) != burst_size_) give_up("a frame was not dequeued");
    }
  }

 private:
  /// UDP over IPv4 from a host of its own, in one of four classes.
  static void write_packet(Mbuf& frame, std::uint8_t host) {
    std::uint8_t* const data = frame.append(60);
    if (data == nullptr) give_up("an mbuf has no room");
    std::fill_n(data, 60, std::uint8_t{0});
    data[12] = 0x08;
    data[14] = 0x45;
    data[17] = 46;
    data[23] = 17;
    data[29] = host;
    data[39] = 26;
    frame.set_user(host * kClasses / Setup::kMaxBurst);
  }

  Context context_;
  Mempool pool_;
  MempoolCache cache_{pool_};
  std::unique_ptr<QueueDiscipline> queue_;
  std::uint32_t burst_size_;
  Time now_{};
  DropCounter measured_{"measured"};
  Burst<Setup::kMaxBurst> burst_;
};

void by_user(std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
  std::ranges::transform(frames, numbers.begin(),
                         [](const Mbuf* frame) { return static_cast<std::uint32_t>(frame->user()); });
}

std::unique_ptr<QueueDiscipline> bands() {
  StrictPriorityOptions options;
  for (std::uint32_t i = 0; i < kClasses; ++i) options.bands.push_back(need(make_fifo()));
  return need(make_strict_priority(std::move(options)));
}

std::unique_ptr<QueueDiscipline> classes() {
  DrrOptions options;
  for (std::uint32_t i = 0; i < kClasses; ++i) options.classes.push_back({1514, need(make_fifo())});
  return need(make_deficit_round_robin(std::move(options)));
}

}  // namespace

std::unique_ptr<Workload> queue_fifo(const Setup& setup) {
  return std::make_unique<Queueing>(setup, need(make_fifo()));
}
std::unique_ptr<Workload> queue_priority(const Setup& setup) { return std::make_unique<Queueing>(setup, bands()); }
std::unique_ptr<Workload> queue_drr(const Setup& setup) { return std::make_unique<Queueing>(setup, classes()); }
std::unique_ptr<Workload> queue_token_bucket(const Setup& setup) {
  return std::make_unique<Queueing>(setup,
                                    need(make_token_bucket({.rate = std::uint64_t{1} << 40U, .burst = 1U << 30U})));
}
std::unique_ptr<Workload> queue_fq_codel(const Setup& setup) {
  return std::make_unique<Queueing>(setup, need(make_fq_codel({.seed = 1})));
}
// The program knows the flow of each frame, so the discipline need not read its headers.
std::unique_ptr<Workload> queue_fq_codel_classified(const Setup& setup) {
  return std::make_unique<Queueing>(setup, need(make_fq_codel({.classifier = by_user, .seed = 1})));
}

}  // namespace pollux::bench
