// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_supply.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "common/rates.hpp"
#include "pktgen/numbered_frames.hpp"
#include "pktgen/replayed_frames.hpp"
#include "pktgen/template_frames.hpp"

namespace pollux::tools {
namespace {

/// Flows of each queue, if there are several queues and the user gave no number.
constexpr std::uint32_t kFlowsPerQueue = 8;
/// Bursts that may leave at once after a delay; more would overrun the receiver.
constexpr std::uint64_t kBurstsBehind = 4;
constexpr Duration kReplayBehind = std::chrono::milliseconds(10);
constexpr std::uint64_t kBitsPerMegabit = 1'000'000;
constexpr std::uint64_t kMillionths = 1'000'000;

/// How often the frames of a file are in memory: each queue varies its own.
std::uint64_t copies_of(const PktgenOptions& options) { return options.vary.empty() ? 1U : 1U + options.port.queues; }

/// Rejects rounds that would follow each other without a pause, since a file whose frames all have one time says none.
Result<void> check_rounds(const PktgenOptions& options, const std::vector<RecordedFrame>& frames) {
  if (options.replay_file.empty() || options.repeat == 1 || options.rate || frames.back().at != Duration(0)) return {};
  return fail(ErrorCode::invalid_argument,
              fmt::format("--repeat: {}: all its frames have one time, so nothing paces them", options.replay_file),
              "add --rate");
}

/// The time in which `count` slots of the largest frame begin.
Duration slots_time(std::uint64_t count, std::uint64_t weight, std::uint64_t rate) {
  const double seconds = static_cast<double>(count * weight) / static_cast<double>(rate);
  return Duration(static_cast<Duration::rep>(seconds * 1e9));
}

}  // namespace

Result<FrameSupply> FrameSupply::load(const PktgenOptions& options) {
  FrameSupply supply(options);
  const std::string& path = options.template_file.empty() ? options.replay_file : options.template_file;
  if (path.empty()) return supply;
  auto frames = read_frames(path, kMostFrameMemory / copies_of(options));
  if (!frames) return pass_on(std::move(frames));
  if (auto checked = check_rounds(options, *frames); !checked) return pass_on(std::move(checked));
  if (options.destination) set_destination(*frames, *options.destination);
  if (options.source) set_source(*frames, *options.source);
  supply.recorded_ = std::make_shared<const std::vector<RecordedFrame>>(*std::move(frames));
  return supply;
}

std::uint32_t FrameSupply::largest() const noexcept {
  if (recorded_ == nullptr) return options_->sizes.largest();
  std::size_t largest = 0;
  for (const RecordedFrame& frame : *recorded_) largest = std::max(largest, frame.bytes.size());
  return static_cast<std::uint32_t>(wire_size(largest));
}

std::string FrameSupply::text() const {
  if (recorded_ == nullptr) {
    return options_->sizes.sequence.size() == 1 ? fmt::format("frames of {} bytes", options_->sizes.text)
                                                : fmt::format("frames of sizes {}", options_->sizes.text);
  }
  if (options_->replay_file.empty())
    return fmt::format("the {} frames of {} in turn", recorded_->size(), options_->template_file);
  return fmt::format("the {} frames of {}, which took {:.6f} s", recorded_->size(), options_->replay_file,
                     to_seconds(recorded_->back().at));
}

Result<std::unique_ptr<FrameSource>> FrameSupply::source(const Addresses& addresses, std::uint32_t queue) const {
  if (recorded_ == nullptr) return numbered(addresses, queue);
  if (options_->replay_file.empty())
    return TemplateFrames::create(recorded_, options_->vary, {.queue = queue, .queues = options_->port.queues});
  return std::unique_ptr<FrameSource>(std::make_unique<ReplayedFrames>(recorded_, options_->repeat));
}

std::unique_ptr<FrameSource> FrameSupply::numbered(const Addresses& addresses, std::uint32_t queue) const {
  const std::uint32_t queues = options_->port.queues;
  const std::uint32_t flows = options_->flows.value_or(queues == 1 ? 1 : kFlowsPerQueue * queues);
  const std::uint32_t first = flows * queue / queues;
  std::vector<std::uint32_t> lengths;
  for (const std::uint32_t size : options_->sizes.sequence)
    lengths.push_back(size - static_cast<std::uint32_t>(kFcsBytes));
  return std::make_unique<NumberedFrames>(
      lengths, options_->destination.value_or(addresses.destination), options_->source.value_or(addresses.source),
      NumberedFrames::Flows{.first = static_cast<std::uint16_t>(first), .count = flows * (queue + 1) / queues - first});
}

Result<Pace> pace_of(const PktgenOptions& options, const Link& link, std::uint32_t largest, std::uint32_t queue) {
  Pace pace{.queues = options.port.queues, .queue = queue};
  if (!options.rate) {
    if (options.replay_file.empty()) return pace;
    pace.unit = Pace::Unit::recorded;
    pace.speed = options.speed;
    pace.most_behind = kReplayBehind;
    return pace;
  }
  pace.rate = options.rate->value;
  pace.unit = options.rate->unit == RateText::Unit::frames ? Pace::Unit::frames : Pace::Unit::bits;
  if (options.rate->unit == RateText::Unit::share) {
    if (link.speed == 0) {
      return fail(ErrorCode::not_supported, "a share of the line rate needs a port with a link",
                  "use a rate in frames or bits per second");
    }
    pace.rate = link.speed * kBitsPerMegabit / kMillionths * options.rate->value;
  }
  const std::uint64_t weight = pace.unit == Pace::Unit::bits ? slot_bits(largest) : 1;
  pace.most_behind = slots_time(kBurstsBehind * options.port.burst, weight, pace.rate);
  return pace;
}

}  // namespace pollux::tools
