// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/runtime/clock_servo.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pollux {
namespace {

constexpr double kBillion = 1e9;
constexpr std::size_t kMaxWindow = 65'536;
/// Exchanges that are this much of the mean excess above the shortest one count half.
constexpr double kHalfWeight = 0.25;

/// The stamps of a master come from the network. In this range no sum or difference of them overflows.
constexpr Time kLatest = Time::max() / 2;
bool is_usable(Time stamp) noexcept { return stamp >= Time(0) && stamp <= kLatest; }

}  // namespace

ClockServo::ClockServo(const ClockServoOptions& options) : options_(options) {
  options_.window = std::clamp(options.window, std::size_t{2}, kMaxWindow);
  samples_.reserve(options_.window);
}

void ClockServo::reset() noexcept {
  samples_.clear();
  next_ = 0;
  last_local_.reset();
  now_ = interval_ = corrected_ = offset_ = path_delay_ = 0;
}

// IEEE 1588-2008, 11.3.
std::optional<ClockServo::Measured> ClockServo::measure(const ClockExchange& exchange) const {
  if (!is_usable(exchange.sync_sent) || !is_usable(exchange.sync_received) || !is_usable(exchange.request_sent) ||
      !is_usable(exchange.request_received)) {
    return std::nullopt;
  }
  if (exchange.request_sent < exchange.sync_received) return std::nullopt;
  if (last_local_ && exchange.request_sent <= *last_local_) return std::nullopt;
  const Duration forth = exchange.sync_received - exchange.sync_sent;
  const Duration back = exchange.request_received - exchange.request_sent;
  if (forth + back < -2 * options_.resolution) return std::nullopt;
  return Measured{.offset = (forth - back) / 2, .delay = (forth + back) / 2};
}

void ClockServo::pass_time(Time local, double frequency) {
  if (last_local_) {
    const auto passed = static_cast<double>((local - *last_local_).count());
    interval_ = passed / (1 + frequency / kBillion);
    now_ += interval_;
    corrected_ += passed - interval_;
  }
  last_local_ = local;
}

void ClockServo::store(const Sample& sample) {
  if (samples_.size() < options_.window) {
    samples_.push_back(sample);
  } else {
    samples_[next_] = sample;
  }
  next_ = (next_ + 1) % options_.window;
}

double ClockServo::weight(const Sample& sample, double scale) const noexcept {
  const double excess = (sample.delay - path_delay_) / scale;
  return 1 / (1 + excess * excess);
}

// A weighted least-squares line.
ClockServo::Line ClockServo::fit() {
  path_delay_ = std::numeric_limits<double>::max();
  double delays = 0;
  for (const Sample& sample : samples_) {
    path_delay_ = std::min(path_delay_, sample.delay);
    delays += sample.delay;
  }
  const double excess = delays / static_cast<double>(samples_.size()) - path_delay_;
  const double scale = std::max(static_cast<double>(options_.resolution.count()), excess * kHalfWeight);
  double weights = 0, time = 0, offset = 0;
  for (const Sample& sample : samples_) {
    const double w = weight(sample, scale);
    weights += w;
    time += w * (sample.at - now_);
    offset += w * sample.offset;
  }
  time /= weights;
  offset /= weights;
  double covariance = 0, variance = 0;
  for (const Sample& sample : samples_) {
    const double w = weight(sample, scale);
    const double from_mean = sample.at - now_ - time;
    covariance += w * from_mean * (sample.offset - offset);
    variance += w * from_mean * from_mean;
  }
  const double slope = variance > 0 ? covariance / variance : 0;
  return {.offset = offset - slope * time, .slope = slope};
}

std::optional<ClockCorrection> ClockServo::update(const ClockExchange& exchange, double frequency) {
  const auto measured = measure(exchange);
  if (!measured || !(std::abs(frequency) < kBillion)) {
    ++rejected_;
    return std::nullopt;
  }
  const bool is_first = !last_local_;
  pass_time(exchange.request_sent, frequency);
  ClockCorrection correction;
  // The first offset may have more digits than a double, so what remains after the step is computed in integers.
  if (is_first && std::chrono::abs(measured->offset) > options_.step_threshold) {
    correction.step = -measured->offset;
  }
  store({.at = now_,
         .offset = static_cast<double>((measured->offset + correction.step).count()) - corrected_,
         .delay = static_cast<double>(measured->delay.count())});
  const Line line = fit();
  offset_ = line.offset + corrected_;
  if (!is_first && std::abs(offset_) > static_cast<double>(options_.step_threshold.count()) &&
      std::abs(offset_) < static_cast<double>(kLatest.count())) {
    correction.step = Duration(-std::llround(offset_));
    for (Sample& sample : samples_) sample.offset += static_cast<double>(correction.step.count());
    offset_ += static_cast<double>(correction.step.count());
  }
  // Nothing is lost if the clock refuses the step: the next offset shows it.
  *last_local_ += correction.step;
  const double slew = std::max(static_cast<double>(options_.slew_time.count()), interval_);
  // Without a time for it, as at the first exchange with a slew_time of zero, an offset is left to the next exchange.
  const double pull = slew > 0 ? offset_ / slew : 0;
  correction.frequency = std::clamp((-line.slope - pull) * kBillion, -options_.max_frequency, options_.max_frequency);
  return correction;
}

}  // namespace pollux
