// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/packet_steering.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/mem/drop_counter.hpp"
#include "pollux/mem/mpmc_ring.hpp"
#include "pollux/mem/spsc_ring.hpp"
#include "pollux/net/burst_gate.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/net/queue_driver.hpp"
#include "pollux/runtime/flow_table.hpp"

namespace pollux {
namespace {

constexpr std::uint32_t kMaxRing = 65536;
constexpr std::uint32_t kMinSlots = 16;
constexpr std::uint32_t kMaxSlots = 1048576;
/// Calls of `follow` that may wait for the steering thread.
constexpr std::uint32_t kRequests = 1024;

Result<void> check_power_of_two(const char* name, std::uint32_t value, std::uint32_t lowest, std::uint32_t highest) {
  if (value >= lowest && value <= highest && std::has_single_bit(value)) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("steering: {} is {}, not a power of two from {} to {}", name, value, lowest, highest),
              fmt::format("change SteeringOptions::{}", name));
}

Result<void> check(const SteeringOptions& options) {
  if (options.consumers < 1 || options.consumers > PacketSteering::kMaxConsumers) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("steering: {} consumers are outside of 1 to {}", options.consumers, PacketSteering::kMaxConsumers),
        "change SteeringOptions::consumers; one a thread is usual");
  }
  if (auto ring = check_power_of_two("ring", options.ring, SpscRing<Mbuf*>::kMinCapacity, kMaxRing); !ring) return ring;
  return check_power_of_two("slots", options.slots, kMinSlots, kMaxSlots);
}

}  // namespace

/// The queue of one consumer: a ring that the steering thread fills. Positions count frames since the start.
class SteeredQueue final : public RxQueueDriver {
 public:
  /// Frames that are collected before they are put into the ring together.
  static constexpr std::uint32_t kStage = 64;

  /// `event`: an eventfd that does not block.
  SteeredQueue(std::uint16_t index, std::uint32_t ring, FileDescriptor event, Clock& clock)
      : ring_(ring),
        event_(std::move(event)),
        clock_(clock),
        ring_full_("steering_ring_full_" + std::to_string(index)) {
    open_bursts(&burst);
  }
  /// Drops what is left, unnamed.
  ~SteeredQueue() override {
    std::array<Mbuf*, kStage> rest{};
    while (const std::uint32_t count = ring_.dequeue(rest)) drop_unnamed({rest.data(), count});
  }

  // For the steering thread.
  /// Adds a frame behind the others. False: there is no room.
  [[nodiscard]] bool stage(Mbuf* frame) noexcept {
    if (staged_ == room_ && !has_room()) return false;
    stage_[staged_++] = frame;
    return true;
  }
  /// Shows the consumer what was staged.
  void flush() noexcept {
    if (staged_ == 0) return;
    ring_.put({stage_.data(), staged_});
    put_ += staged_;
    room_ = 0;
    staged_ = 0;
    frames_.store(put_, std::memory_order_relaxed);
    // Only the compiler must keep the order: the barrier in `arm` makes this processor drain its stores.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    if (is_armed_.load(std::memory_order_relaxed)) [[unlikely]]
      static_cast<void>(::eventfd_write(event_.get(), 1));
  }
  /// The position after the last frame.
  [[nodiscard]] std::uint64_t tail() const noexcept { return put_ + staged_; }
  /// Whether all frames before this position have been handled.
  [[nodiscard]] bool has_handled(std::uint64_t position) const noexcept {
    return handled_.load(std::memory_order_acquire) >= position;
  }
  /// The caller frees `frames` next.
  void count_dropped(std::span<Mbuf* const> frames) noexcept { ring_full_.add(frames); }

  // For the consumer.
  [[nodiscard]] int event_fd() const override { return event_.get(); }
  // The steering thread stores a frame and reads the flag without a fence between the two, so this thread pays for the
  // barrier. After it either the frame is visible here, or the steering thread sees the flag.
  [[nodiscard]] bool arm() noexcept override {
    note_handled();
    eventfd_t raised = 0;
    static_cast<void>(::eventfd_read(event_.get(), &raised));
    is_armed_.store(true, std::memory_order_relaxed);
    barrier_on_all_threads(clock_);
    if (ring_.empty()) return true;
    disarm();
    return false;
  }
  void disarm() noexcept override {
    is_armed_.store(false, std::memory_order_relaxed);
    eventfd_t raised = 0;
    static_cast<void>(::eventfd_read(event_.get(), &raised));
  }
  [[nodiscard]] Result<void> use_cache(const MempoolCache&) override { return {}; }

  // For any thread.
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t ring_full() const noexcept { return ring_full_.value(); }

 private:
  static std::uint32_t burst(RxQueue& queue, Mbuf** mbufs, std::uint32_t limit) noexcept {
    SteeredQueue& self = static_cast<SteeredQueue&>(queue);
    self.note_handled();
    const std::uint32_t count = self.ring_.dequeue({mbufs, limit});
    self.taken_ += count;
    return count;
  }
  [[nodiscard]] bool has_room() noexcept {
    if (staged_ == kStage) flush();
    room_ = std::min(ring_.room(staged_ + 1), kStage);
    return room_ > staged_;
  }
  // A consumer that polls again, or is about to sleep, has handled what it got before. The steering thread may then
  // give a flow's later frames to another consumer, which sees all that this one has done.
  void note_handled() noexcept {
    if (handled_.load(std::memory_order_relaxed) != taken_) handled_.store(taken_, std::memory_order_release);
  }

  SpscRing<Mbuf*> ring_;
  FileDescriptor event_;
  Clock& clock_;
  std::atomic<bool> is_armed_{false};
  // Of the steering thread.
  alignas(64) std::uint64_t put_ = 0;
  std::uint32_t staged_ = 0;
  std::uint32_t room_ = 0;  // frames that may be staged, as far as is known
  std::atomic<std::uint64_t> frames_{0};
  DropCounter ring_full_;
  std::array<Mbuf*, kStage> stage_{};
  // Of the consumer.
  alignas(64) std::atomic<std::uint64_t> handled_{0};
  std::uint64_t taken_ = 0;
};

class PacketSteering::Core {
 public:
  Core(Context& context, const SteeringOptions& options, FlowTable<std::uint16_t> followed,
       std::vector<FileDescriptor> events)
      : clock_(context.clock()),
        hash_(options.key),
        card_hash_(options.card_hash),
        fields_(options.fields),
        slot_shift_(32U - static_cast<unsigned>(std::countr_zero(options.slots))),
        slots_(options.slots),
        followed_(std::move(followed)) {
    for (std::uint16_t i = 0; i < options.consumers; ++i)
      queues_.push_back(std::make_unique<SteeredQueue>(i, options.ring, std::move(events[i]), clock_));
  }

  void steer(std::span<Mbuf* const> frames, MempoolCache& cache) noexcept {
    const bool has_requests = !requests_.empty();
    const Time now = has_requests || !followed_.empty() ? clock_.now() : Time{};
    if (has_requests) take_requests(now);
    for (Mbuf* const frame : frames) {
      if (!put(frame, now)) [[unlikely]]
        cache.free_bulk({&frame, 1});
    }
    for (const auto& queue : queues_) queue->flush();
  }
  [[nodiscard]] std::uint32_t hash_of(const Mbuf& frame) const noexcept {
    if (card_hash_) {
      if (const auto hash = RxMetadata(frame).rss_hash()) return *hash;
    }
    return packet::rss_hash(hash_, frame, packet::parse(frame), fields_).value_or(0);
  }
  /// The same for all flows of a slot, so that they do not move it to and fro.
  [[nodiscard]] std::uint16_t default_of(std::uint32_t hash) const noexcept {
    return static_cast<std::uint16_t>(std::uint64_t{slot_of(hash)} * queues_.size() >> (32 - slot_shift_));
  }
  [[nodiscard]] bool follow(std::uint32_t hash, std::uint16_t consumer) noexcept {
    const Request request{.hash = hash, .consumer = consumer};
    return consumer < queues_.size() && requests_.enqueue({&request, 1}) == 1;
  }
  [[nodiscard]] std::vector<std::unique_ptr<SteeredQueue>>& queues() noexcept { return queues_; }
  [[nodiscard]] SteeringStats stats() const noexcept {
    SteeringStats stats = stats_;
    stats.evicted = followed_.stats().evicted;
    stats.aged = followed_.stats().aged;
    return stats;
  }

 private:
  static constexpr std::uint16_t kNobody = 0xFFFF;

  struct Slot {
    std::uint64_t tail = 0;  // the position after its last frame in the consumer's ring
    std::uint16_t consumer = kNobody;
  };
  struct Request {
    std::uint32_t hash;
    std::uint16_t consumer;
  };

  /// Multiplicative hashing by the golden ratio (Knuth, The Art of Computer Programming, 6.4): cards and queues have
  /// often chosen by the low bits already.
  [[nodiscard]] std::uint32_t slot_of(std::uint32_t hash) const noexcept { return hash * 0x9E3779B1U >> slot_shift_; }
  void take_requests(Time now) noexcept {
    Request request{};
    for (std::uint32_t left = kRequests; left != 0 && requests_.dequeue({&request, 1}) == 1; --left)
      followed_.store(request.hash, request.consumer, now);
  }
  [[nodiscard]] std::uint16_t wanted(std::uint32_t hash, Time now) noexcept {
    if (!followed_.empty()) {
      if (const std::uint16_t* const consumer = followed_.find(hash, now)) return *consumer;
    }
    return default_of(hash);
  }
  [[nodiscard]] SteeredQueue& choose(Slot& slot, std::uint16_t wanted) noexcept {
    if (slot.consumer != wanted) {
      if (slot.consumer == kNobody) {
        slot.consumer = wanted;
      } else if (queues_[slot.consumer]->has_handled(slot.tail)) {
        slot.consumer = wanted;
        slot.tail = 0;  // no frame of the slot is in the new ring yet, and the first one may be dropped
        ++stats_.moves;
      } else {
        ++stats_.held_moves;
      }
    }
    return *queues_[slot.consumer];
  }
  [[nodiscard]] bool put(Mbuf* frame, Time now) noexcept {
    const std::uint32_t hash = hash_of(*frame);
    Slot& slot = slots_[slot_of(hash)];
    SteeredQueue& queue = choose(slot, wanted(hash, now));
    if (!queue.stage(frame)) {
      queue.count_dropped({&frame, 1});
      return false;
    }
    slot.tail = queue.tail();
    return true;
  }

  Clock& clock_;
  packet::ToeplitzHash hash_;
  bool card_hash_;
  packet::RssFields fields_;
  unsigned slot_shift_;
  std::vector<Slot> slots_;
  FlowTable<std::uint16_t> followed_;
  std::vector<std::unique_ptr<SteeredQueue>> queues_;
  SteeringStats stats_;
  MpscRing<Request> requests_{kRequests};
};

PacketSteering::PacketSteering(std::unique_ptr<Core> core) noexcept : core_(std::move(core)) {}
PacketSteering::~PacketSteering() = default;

Result<std::unique_ptr<PacketSteering>> PacketSteering::create(Context& context, const SteeringOptions& options) {
  if (auto checked = check(options); !checked) return pass_on<void>(std::move(checked));
  auto followed = FlowTable<std::uint16_t>::create({.capacity = options.flows, .max_age = options.max_age});
  if (!followed) return tl::unexpected<Error>(std::move(followed).error());
  std::vector<FileDescriptor> events;
  for (std::uint16_t i = 0; i < options.consumers; ++i) {
    events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!events.back()) return fail_errno(ErrorCode::io_error, "steering: cannot create an eventfd", errno);
  }
  auto core = std::make_unique<Core>(context, options, *std::move(followed), std::move(events));
  return std::unique_ptr<PacketSteering>(new PacketSteering(std::move(core)));
}

std::uint16_t PacketSteering::consumers() const noexcept { return static_cast<std::uint16_t>(core_->queues().size()); }
RxQueue& PacketSteering::consumer(std::uint16_t index) noexcept { return *core_->queues()[index]; }
void PacketSteering::steer_all(std::span<Mbuf* const> frames, MempoolCache& cache) noexcept {
  core_->steer(frames, cache);
}
bool PacketSteering::follow(std::uint32_t flow_hash, std::uint16_t consumer) noexcept {
  return core_->follow(flow_hash, consumer);
}
std::uint32_t PacketSteering::flow_hash(const Mbuf& frame) const noexcept { return core_->hash_of(frame); }
std::uint16_t PacketSteering::consumer_of(std::uint32_t flow_hash) const noexcept {
  return core_->default_of(flow_hash);
}
SteeringStats PacketSteering::stats() const noexcept { return core_->stats(); }
SteeredStats PacketSteering::consumer_stats(std::uint16_t index) const noexcept {
  const SteeredQueue& queue = *core_->queues()[index];
  return {.frames = queue.frames(), .ring_full = queue.ring_full()};
}

}  // namespace pollux
