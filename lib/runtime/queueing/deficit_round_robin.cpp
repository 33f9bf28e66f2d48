// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <functional>
#include <limits>
#include <string>

#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "runtime/queueing/discipline_parts.hpp"

namespace pollux {
namespace queueing {
namespace {

constexpr std::size_t kMaxClasses = 65536;
constexpr std::uint32_t kMaxClassQuantum = 1U << 24U;

class DeficitRoundRobin final : public QueueDiscipline {
 public:
  explicit DeficitRoundRobin(DrrOptions options) : classes_(std::move(options.classifier)) {
    queues_.reserve(options.classes.size());
    for (DrrClass& one : options.classes) queues_.push_back({std::move(one.queue), one.quantum});
    waiting_.reserve(queues_.size());
  }

  [[nodiscard]] Time next_time(Time now) const noexcept override {
    if (!active_.empty() || !returned_.empty()) return now;
    return waiting_.empty() ? Time::max() : std::max(now, waiting_.front().until);
  }
  [[nodiscard]] QueueBacklog backlog() const noexcept override { return backlog_; }
  [[nodiscard]] std::uint64_t dropped() const noexcept override {
    std::uint64_t all = no_class_.value();
    for (const Queue& queue : queues_) all += queue.inner->dropped();
    return all;
  }
  [[nodiscard]] std::vector<NamedCount> counters() const override {
    std::vector<NamedCount> all{named(no_class_)};
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      append_counters(all, "class " + std::to_string(i), *queues_[i].inner);
    }
    return all;
  }

 private:
  enum class State : std::uint8_t {
    idle,     ///< has no frames
    active,   ///< in active_
    waiting,  ///< in waiting_: a shaper holds its frames back
  };
  struct Queue {
    std::unique_ptr<QueueDiscipline> inner;
    std::uint32_t quantum;
    std::uint32_t next = 0;  // in active_
    std::uint64_t deficit = 0;
    std::uint32_t blocked = 0;  // bytes of its next frame, if they exceed the deficit; else 0
    Time blocked_at{};          // when that was so; later, or after more frames came, another frame may be the next
    Time until{};               // of its entry in waiting_
    State state = State::idle;
  };
  struct Waiting {
    Time until;
    std::uint32_t number;
    /// The first of the heap is the earliest; of two at the same time, that with the lower number.
    [[nodiscard]] bool operator<(const Waiting& other) const noexcept {
      return until != other.until ? until > other.until : number > other.number;
    }
  };

  void take(std::span<Mbuf* const> frames, Time now) noexcept override {
    classes_.for_each_run(frames, [&](std::span<Mbuf* const> run, std::uint32_t number) {
      if (number < queues_.size()) return add(number, run, now);
      for (Mbuf* const frame : run) drop(*frame, no_class_);
    });
  }

  void add(std::uint32_t number, std::span<Mbuf* const> frames, Time now) noexcept {
    Queue& queue = queues_[number];
    const QueueBacklog before = queue.inner->backlog();
    pass_to(*queue.inner, frames, now);
    const QueueBacklog after = queue.inner->backlog();
    count_change(before, after);
    queue.blocked = 0;
    if (queue.state == State::idle && after.frames != 0) {
      queue.deficit = queue.quantum;
      activate(number);
    } else if (queue.state == State::waiting && queue.inner->next_time(now) < queue.until) {
      // One of the new frames may be sent earlier than those that its shaper holds back.
      std::erase_if(waiting_, [number](const Waiting& one) { return one.number == number; });
      std::ranges::make_heap(waiting_, std::less<>());
      activate(number);
    }
  }
  void activate(std::uint32_t number) noexcept {
    queues_[number].state = State::active;
    active_.push(queues_, number);
  }
  void count_change(const QueueBacklog& before, const QueueBacklog& after) noexcept {
    backlog_.frames += after.frames - before.frames;
    backlog_.bytes += after.bytes - before.bytes;
  }

  [[nodiscard]] std::uint32_t give(std::span<Mbuf*> room, std::uint64_t bytes, Time now) noexcept override {
    while (!waiting_.empty() && waiting_.front().until <= now) {
      activate(waiting_.front().number);
      std::ranges::pop_heap(waiting_, std::less<>());
      waiting_.pop_back();
    }
    std::uint32_t count = 0;
    if (!returned_.empty() && !room.empty() && bytes != 0) {
      count_change({1, returned_.length()}, {});
      bytes -= std::min<std::uint64_t>(bytes, returned_.length());
      room[count++] = returned_.release();
    }
    std::size_t blocked = 0;  // turns in a row that gave nothing, since the next frame is longer than the deficit
    while (count < room.size() && bytes != 0 && !active_.empty()) {
      if (blocked >= active_.size()) {
        skip_rounds();
        blocked = 0;
      }
      Queue& queue = queues_[active_.front()];
      if (is_blocked(queue, now)) {
        end_turn(queue);
        ++blocked;
        continue;
      }
      blocked = 0;
      const QueueBacklog before = queue.inner->backlog();
      const std::uint32_t more = serve(queue, room.subspan(count), bytes, now);
      const QueueBacklog after = queue.inner->backlog();
      count_change(before, after);
      count += more;
      if (queue.blocked != 0) {
        end_turn(queue);
      } else if (after.frames == 0) {
        queue.state = State::idle;
        active_.pop(queues_);
      } else if (more == 0) {
        wait(queue, now);
      }
    }
    return count;
  }
  /// Whether a turn gives nothing: the next frame of the class is known to be longer than its deficit.
  [[nodiscard]] static bool is_blocked(const Queue& queue, Time now) noexcept {
    return queue.blocked > queue.deficit && queue.blocked_at == now;
  }
  /// The first of the active classes gets its quantum for the next turn, and waits for it.
  void end_turn(Queue& queue) noexcept {
    queue.deficit += queue.quantum;
    active_.rotate(queues_);
  }
  /// All active classes are blocked. Does the rounds in which they stay so at once: with quanta that are much smaller
  /// than the frames there are thousands. The order of the classes is that after these rounds.
  void skip_rounds() noexcept {
    std::uint64_t rounds = std::numeric_limits<std::uint64_t>::max();
    active_.for_each(queues_, [&](const Queue& queue) {
      const std::uint64_t missing = queue.blocked - std::min<std::uint64_t>(queue.blocked, queue.deficit);
      rounds = std::min(rounds, (missing + queue.quantum - 1) / queue.quantum);
    });
    if (rounds != 0) active_.for_each(queues_, [&](Queue& queue) { queue.deficit += rounds * queue.quantum; });
  }
  /// The first of the active classes gave nothing, since a shaper holds its frames back.
  void wait(Queue& queue, Time now) noexcept {
    const std::uint32_t number = active_.pop(queues_);
    queue.state = State::waiting;
    // Not at once, so that a discipline that errs about its time does not keep the loop busy.
    queue.until = std::max(queue.inner->next_time(now), time_after(now, Duration(1)));
    waiting_.push_back({queue.until, number});
    std::ranges::push_heap(waiting_, std::less<>());
  }
  void take_back(Mbuf& frame) noexcept override {
    count_change({}, {1, frame.packet_length()});
    returned_.hold(frame);
  }

  /// Gives what the deficit of the class allows.
  [[nodiscard]] static std::uint32_t serve(Queue& queue, std::span<Mbuf*> room, std::uint64_t& bytes,
                                           Time now) noexcept {
    std::uint32_t count = 0;
    queue.blocked = 0;
    while (count < room.size() && bytes != 0) {
      // At least 1: a class without deficit looks at its next frame, too, to learn whether it has one.
      const std::uint64_t allowed = std::min(bytes, std::max<std::uint64_t>(queue.deficit, 1));
      const std::uint32_t got = get_from(*queue.inner, room.subspan(count), allowed, now);
      if (got == 0) break;
      for (const std::uint32_t end = count + got; count < end; ++count) {
        const std::uint32_t length = room[count]->packet_length();
        if (length > queue.deficit) {
          // The last one: the others did not use up the deficit.
          return_to(*queue.inner, *room[count]);
          queue.blocked = length;
          queue.blocked_at = now;
          return count;
        }
        spend(queue, length, bytes);
      }
    }
    return count;
  }
  static void spend(Queue& queue, std::uint32_t length, std::uint64_t& bytes) noexcept {
    queue.deficit -= length;
    bytes -= std::min<std::uint64_t>(bytes, length);
  }

  std::vector<Queue> queues_;
  IndexList active_;
  std::vector<Waiting> waiting_;  // a heap, with room for all classes
  QueueBacklog backlog_;
  HeldFrame returned_;
  Classes classes_;
  DropCounter no_class_{"drop_no_class"};
};

Result<void> check(const DrrOptions& options) {
  if (options.classes.empty() || options.classes.size() > kMaxClasses) {
    return fail(ErrorCode::invalid_argument,
                "deficit round robin has " + std::to_string(options.classes.size()) + " classes, not 1 to 65536",
                "set DrrOptions::classes");
  }
  for (std::size_t i = 0; i < options.classes.size(); ++i) {
    const std::string name = "class " + std::to_string(i) + " of deficit round robin";
    const DrrClass& one = options.classes[i];
    if (one.queue == nullptr) {
      return fail(ErrorCode::invalid_argument, name + " has no discipline", "use make_fifo() for it");
    }
    if (one.quantum == 0 || one.quantum > kMaxClassQuantum) {
      return fail(ErrorCode::invalid_argument,
                  name + " has a quantum of " + std::to_string(one.quantum) + " bytes, not 1 to 2^24",
                  "set DrrClass::quantum to the length of a frame or more");
    }
  }
  return {};
}

}  // namespace
}  // namespace queueing

Result<std::unique_ptr<QueueDiscipline>> make_deficit_round_robin(DrrOptions options) {
  if (auto checked = queueing::check(options); !checked) return pass_on(std::move(checked));
  return std::make_unique<queueing::DeficitRoundRobin>(std::move(options));
}

}  // namespace pollux
