// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/packet_steering.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>

#include <bit>
#include <cerrno>
#include <utility>
#include <vector>

#include "pollux/mem/mpmc_ring.hpp"
#include "pollux/net/packet/parse.hpp"
#include "pollux/runtime/flow_table.hpp"
#include "runtime/steering/steered_queue.hpp"

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

  void steer(std::span<Mbuf* const> frames, MempoolCache& cache) noexcept;
  [[nodiscard]] std::uint32_t hash_of(const Mbuf& frame) const noexcept;
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
  void take_requests(Time now) noexcept;
  [[nodiscard]] std::uint16_t wanted(std::uint32_t hash, Time now) noexcept;
  [[nodiscard]] SteeredQueue& choose(Slot& slot, std::uint16_t wanted) noexcept;
  [[nodiscard]] bool put(Mbuf* frame, Time now) noexcept;

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

std::uint32_t PacketSteering::Core::hash_of(const Mbuf& frame) const noexcept {
  if (card_hash_) {
    if (const auto hash = RxMetadata(frame).rss_hash()) return *hash;
  }
  return packet::rss_hash(hash_, frame, packet::parse(frame), fields_).value_or(0);
}

void PacketSteering::Core::take_requests(Time now) noexcept {
  Request request{};
  for (std::uint32_t left = kRequests; left != 0 && requests_.dequeue({&request, 1}) == 1; --left)
    followed_.store(request.hash, request.consumer, now);
}

std::uint16_t PacketSteering::Core::wanted(std::uint32_t hash, Time now) noexcept {
  if (!followed_.empty()) {
    if (const std::uint16_t* const consumer = followed_.find(hash, now)) return *consumer;
  }
  return default_of(hash);
}

SteeredQueue& PacketSteering::Core::choose(Slot& slot, std::uint16_t wanted) noexcept {
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

bool PacketSteering::Core::put(Mbuf* frame, Time now) noexcept {
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

void PacketSteering::Core::steer(std::span<Mbuf* const> frames, MempoolCache& cache) noexcept {
  const bool has_requests = !requests_.empty();
  const Time now = has_requests || !followed_.empty() ? clock_.now() : Time{};
  if (has_requests) take_requests(now);
  for (Mbuf* const frame : frames) {
    if (!put(frame, now)) [[unlikely]]
      cache.free_bulk({&frame, 1});
  }
  for (const auto& queue : queues_) queue->flush();
}

PacketSteering::PacketSteering(std::unique_ptr<Core> core) noexcept : core_(std::move(core)) {}
PacketSteering::~PacketSteering() = default;

Result<std::unique_ptr<PacketSteering>> PacketSteering::create(Context& context, const SteeringOptions& options) {
  if (auto checked = check(options); !checked) return pass_on<void>(std::move(checked));
  auto followed = FlowTable<std::uint16_t>::create({.capacity = options.flows, .max_age = options.max_age});
  if (!followed) return tl::unexpected<Error>(std::move(followed).error());
  std::vector<FileDescriptor> events;
  for (std::uint16_t i = 0; i < options.consumers; ++i) {
    events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!events.back())
      return fail_errno(ErrorCode::io_error, "steering: cannot create an eventfd", errno, "raise ulimit -n");
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
