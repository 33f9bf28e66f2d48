// SPDX-License-Identifier: BSD-3-Clause
#include "bench/trial.hpp"

#include <algorithm>
#include <utility>

#include "common/rates.hpp"

namespace pollux::tool::bench {
namespace {

using tools::SlotSchedule;
__extension__ using Wide = unsigned __int128;

/// The first frame starts so much after the trial.
constexpr Duration kLead = std::chrono::microseconds(10);
constexpr std::uint32_t kBurst = 32;
/// Polls between two questions whether the program has to stop, which read a shared variable.
constexpr unsigned kPollsPerCheck = 1024;

std::uint64_t share_of(std::uint64_t whole, Load load) {
  return whole / kFullLoad * load + whole % kFullLoad * load / kFullLoad;
}

/// In virtual time each frame leaves in its slot. In real time a sender that was interrupted catches up.
Duration tolerance(bool virtual_time, Duration planned) {
  if (virtual_time) return Duration(0);
  return std::max<Duration>(std::chrono::milliseconds(1), planned / 100);
}

}  // namespace

struct TrialRunner::State {
  State(const TrialRequest& wanted, TestBed& bed, std::uint64_t first)
      : request(wanted),
        builder(wanted.size - static_cast<std::uint32_t>(tools::kFcsBytes), bed.receiving().mac(), bed.sending().mac()),
        first_sequence(first),
        start(bed.now() + kLead),
        rate(std::max<std::uint64_t>(1, share_of(bed.line_rate(), wanted.load))),
        slots(start, rate) {
    const Wide bits = Wide{wanted.frames} * tools::slot_bits(wanted.size);
    const Duration planned(static_cast<Duration::rep>(bits * 1'000'000'000 / rate));
    give_up_at = start + planned + tolerance(bed.virtual_time(), planned);
    result.counts.intended = wanted.frames;
  }

  [[nodiscard]] bool sending() const noexcept { return !gave_up && result.counts.sent < request.frames; }
  /// When there is something to send, or a reason to stop. Frames whose slots have passed wait for room in the ring,
  /// which an event of the card makes.
  [[nodiscard]] Time next_due(Time now) const noexcept {
    if (!sending()) return last_sent_at + request.wait;
    return slots.next() > now ? slots.next() : give_up_at + Duration(1);
  }
  [[nodiscard]] bool finished(Time now) const noexcept {
    if (sending()) return false;
    return result.counts.received == result.counts.sent || now >= last_sent_at + request.wait;
  }

  const TrialRequest& request;
  tools::FrameBuilder builder;
  std::uint64_t first_sequence;
  Time start;
  std::uint64_t rate;  // bits per second
  SlotSchedule slots;
  Time give_up_at{0};
  Time last_sent_at{0};
  bool gave_up = false;
  std::uint64_t built = 0;
  Burst<kBurst> burst;
  tools::SequenceTracker sequences;
  TrialResult result;
};

TrialRunner::TrialRunner(TestBed& bed, std::function<bool()> stop)
    : bed_(bed), stop_(std::move(stop)), sent_at_(kSendTimes) {}

Result<TrialResult> TrialRunner::run(const TrialRequest& request) {
  State state(request, bed_, next_sequence_);
  Time now = bed_.now();
  for (unsigned polls = 1; !state.finished(now); ++polls, now = bed_.now()) {
    if (auto stepped = step(state, now); !stepped) return pass_on(std::move(stepped));
    if (polls % kPollsPerCheck == 0 && stop_ && stop_()) {
      state.burst.drop(unsent_, bed_.cache());
      return fail(ErrorCode::bad_state, "the measurement was stopped before its end");
    }
  }
  state.burst.drop(unsent_, bed_.cache());
  next_sequence_ += state.built;
  TrialResult& result = state.result;
  result.counts.in_time = !state.gave_up;
  result.duplicated = state.sequences.duplicated();
  result.reordered = state.sequences.reordered();
  return std::move(result);
}

Result<void> TrialRunner::step(State& state, Time now) {
  if (auto serviced = bed_.service(now); !serviced) return serviced;
  if (state.sending()) send_due(state, now);
  bed_.poll_device(now);
  receive(state, bed_.now());
  bed_.wait(std::min({state.next_due(now), bed_.device_next(), bed_.service_due()}));
  return {};
}

void TrialRunner::send_due(State& state, Time now) {
  if (now > state.give_up_at) {
    state.gave_up = true;
    state.last_sent_at = now;
    return;
  }
  std::uint32_t due = 0;
  const std::uint64_t weight = tools::slot_bits(state.request.size);
  while (state.burst.size() + due < kBurst && state.slots.next() <= now && state.built + due < state.request.frames) {
    state.slots.advance(weight);
    ++due;
  }
  if (due != 0) build(state, due);
  if (state.burst.empty()) return;
  const std::uint64_t first = state.first_sequence + state.result.counts.sent;
  for (std::uint32_t i = 0; i < state.burst.size(); ++i) sent_at_[(first + i) % kSendTimes] = now;
  state.result.counts.sent += bed_.sending().tx(0).tx_burst(state.burst);
  state.last_sent_at = now;
}

// A pool without free mbufs makes the sender too slow, which the result says.
void TrialRunner::build(State& state, std::uint32_t count) {
  for (; count != 0; --count) {
    MbufPtr mbuf = bed_.cache().allocate();
    if (mbuf == nullptr || !state.builder.build(*mbuf, bed_.cache(), state.first_sequence + state.built)) return;
    if (state.burst.push(mbuf)) ++state.built;
  }
}

void TrialRunner::receive(State& state, Time now) {
  Burst<kBurst> burst;
  if (bed_.receiving().rx(0).rx_burst(burst) == 0) return;
  for (const Mbuf& mbuf : burst) {
    const auto found = checker_.check(mbuf);
    if (found.status == tools::FrameChecker::Status::corrupt) ++state.result.corrupt;
    if (found.status != tools::FrameChecker::Status::good || found.sequence < state.first_sequence) continue;
    const std::uint64_t before = state.sequences.unique();
    state.sequences.observe(found.sequence);
    if (state.sequences.unique() == before) continue;
    ++state.result.counts.received;
    if (state.first_sequence + state.built - found.sequence > kSendTimes) continue;
    state.result.latency.record(static_cast<std::uint64_t>((now - sent_at_[found.sequence % kSendTimes]).count()));
  }
  burst.drop(consumed_, bed_.cache());
}

}  // namespace pollux::tool::bench
