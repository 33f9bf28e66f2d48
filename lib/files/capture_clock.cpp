// SPDX-License-Identifier: BSD-3-Clause
#include "files/capture_clock.hpp"

#include <algorithm>

#include "pollux/files/capture_file_reader.hpp"

namespace pollux::files {
namespace {

/// The time from one stamp to another, which is negative if that is earlier. Stamps are untrusted, so arithmetic must
/// not overflow. libpcap's fractions have 32 bits at most.
std::optional<Duration> between(const Stamp& from, const Stamp& to) {
  constexpr auto kMost = std::chrono::duration_cast<std::chrono::seconds>(kLongestRecording).count();
  std::int64_t seconds = 0;
  if (__builtin_sub_overflow(to.seconds, from.seconds, &seconds) || seconds > kMost || seconds < -kMost) return {};
  return std::chrono::seconds(seconds) + std::chrono::nanoseconds(to.nanoseconds - from.nanoseconds);
}

}  // namespace

std::optional<Duration> CaptureClock::time_of(const Stamp& stamp, std::uint32_t interface) {
  if (!first_) first_ = stamp;
  const auto since_first = between(*first_, stamp);
  if (!since_first) return {};
  if (interface >= interfaces_.size()) interfaces_.resize(std::size_t{interface} + 1);
  Interface& of = interfaces_[interface];
  Duration time = round_start_ + *since_first + of.set_back;
  // An interface without a frame so far is compared with the others.
  const Duration before = of.last == Duration::min() ? latest_ : of.last;
  if (time < before - kMostReordered) {
    of.set_back += before - time;
    time = before;
  }
  of.last = std::max(of.last, time);
  latest_ = std::max(latest_, of.last);
  // Rounds may follow each other until their time would overflow.
  if (of.last - round_start_ > kLongestRecording || latest_ > Duration::max() / 2) return {};
  return of.last;
}

void CaptureClock::begin_round(Duration gap) {
  round_start_ = latest_ + gap;
  latest_ = round_start_;
  first_.reset();
  interfaces_.clear();
}

}  // namespace pollux::files
