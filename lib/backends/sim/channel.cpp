// SPDX-License-Identifier: BSD-3-Clause
#include "backends/sim/channel.hpp"

#include <algorithm>

namespace pollux::sim {
namespace {

/// Frame check sequence, preamble with its delimiter, and the gap between frames (IEEE 802.3, clauses 3 and 4).
constexpr std::uint64_t kOverheadBytes = 4 + 8 + 12;
constexpr std::uint64_t kBitsPerByte = 8;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
/// Behind both addresses, so that a mangled frame still gets where it was going.
constexpr std::size_t kBehindAddresses = 12;

}  // namespace

Duration Channel::time_on_wire(std::size_t bytes) const noexcept {
  if (options_.rate == 0) return Duration(0);
  const std::uint64_t bits = (bytes + kOverheadBytes) * kBitsPerByte;
  return Duration(static_cast<Duration::rep>(bits * kNanosecondsPerSecond / options_.rate));
}

bool Channel::change_a_byte(Frame& frame, std::size_t from, std::uint64_t roll) {
  if (frame.bytes.size() <= from) return false;
  const auto change = static_cast<std::byte>(1 + roll % 255);  // never none
  frame.bytes[from + (roll >> 8) % (frame.bytes.size() - from)] ^= change;
  return true;
}

// Each frame costs the same number of draws, whatever becomes of it, so that a change of one probability leaves the
// others' victims alone.
void Channel::put(std::span<const std::byte> bytes, Duration now, WireCounters& counters) {
  ++counters.entered;
  const bool lost = dice_.happens(options_.loss);
  const bool corrupted = dice_.happens(options_.corrupt);
  const bool mangled = dice_.happens(options_.mangle);
  const bool duplicated = dice_.happens(options_.duplicate);
  const bool reordered = dice_.happens(options_.reorder);
  const std::uint64_t where = dice_.roll();

  const Duration takes = time_on_wire(bytes.size());
  sent_at_ = std::max(sent_at_, now) + takes;
  backlog_time_ = takes * static_cast<Duration::rep>(kBacklog);
  if (lost) return void(++counters.lost);
  Frame frame{{bytes.begin(), bytes.end()}};
  if (corrupted && change_a_byte(frame, 0, where)) {
    ++counters.corrupted;
    frame.corrupt = true;
  } else if (mangled && change_a_byte(frame, kBehindAddresses, where)) {
    ++counters.mangled;
  }
  const Duration arrival = sent_at_ + options_.delay;
  std::optional<Frame> copy;
  if (duplicated) copy = frame;
  if (reordered && flying_.size() + held_.size() < kCapacity) {
    ++counters.reordered;
    ++counters.in_flight;
    held_.push_back({std::move(frame), arrival, arrival + WireOptions::kHoldTime, 0});
  } else {
    send(std::move(frame), arrival, counters);
  }
  if (copy) {
    ++counters.duplicated;
    send(*std::move(copy), arrival, counters);
  }
}

void Channel::send(Frame frame, Duration arrival, WireCounters& counters) {
  if (flying_.size() + held_.size() >= kCapacity) return void(++counters.dropped_overflow);
  ++counters.in_flight;
  fly(std::move(frame), arrival);
  pass_held(arrival);
}

void Channel::fly(Frame frame, Duration arrival) { flying_.emplace(Arrival(arrival, sequence_++), std::move(frame)); }

void Channel::pass_held(Duration arrival) {
  for (Held& held : held_) ++held.overtakers;
  while (!held_.empty() && held_.front().overtakers >= WireOptions::kOvertakers) {
    fly(std::move(held_.front().frame), std::max(arrival, held_.front().arrival));
    held_.pop_front();
  }
}

void Channel::release_held(Duration now) {
  while (!held_.empty() && held_.front().until <= now) {
    fly(std::move(held_.front().frame), held_.front().until);
    held_.pop_front();
  }
}

std::optional<Channel::Frame> Channel::take(Duration now, WireCounters& counters) {
  release_held(now);
  if (flying_.empty() || flying_.begin()->first.first > now) return std::nullopt;
  std::optional<Frame> frame(std::move(flying_.begin()->second));
  flying_.erase(flying_.begin());
  --counters.in_flight;
  return frame;
}

Duration Channel::next() const noexcept {
  Duration soonest = Duration::max();
  if (!flying_.empty()) soonest = flying_.begin()->first.first;
  if (!held_.empty()) soonest = std::min(soonest, held_.front().until);
  return soonest;
}

}  // namespace pollux::sim
