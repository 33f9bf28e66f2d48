// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/frame.hpp"
#include "common/options.hpp"
#include "pollux/files/capture_file_reader.hpp"

namespace pollux::tools {
namespace {

/// A card refuses shorter ones, even though it pads frames (Linux igb, igb_xmit_frame).
constexpr std::uint32_t kMinBytes = 17;
/// What a frame takes beside its bytes: its objects, and what is reserved for them and by their allocation.
constexpr std::uint64_t kFrameOverhead = 128;

tl::unexpected<Error> refuse(const std::string& path, std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", path, what), std::move(hint));
}

/// What is wrong with a frame, and what to do.
std::optional<std::pair<std::string, std::string>> fault_of(const CapturedFrame& frame) {
  if (!frame.is_whole()) {
    return std::pair(fmt::format("has {} of its {} bytes", frame.bytes.size(), frame.length),
                     "capture whole frames (tcpdump -s 0), or remove this one, e.g. with editcap");
  }
  if (frame.length < kMinBytes || frame.length > frame::kMaxLength) {
    return std::pair(fmt::format("has {} bytes, not {} to {}", frame.length, kMinBytes, frame::kMaxLength),
                     "remove it, e.g. with editcap; captures of a machine that merges or segments frames have longer "
                     "ones than its wire");
  }
  if (!frame.at) {
    return std::pair(
        fmt::format("was captured more than {:.0f} s before or after the first", to_seconds(kLongestRecording)),
        "remove it, or correct its time, e.g. with editcap -t");
  }
  return std::nullopt;
}

/// Interfaces write their frames in blocks, so the frames of several are put into the order of their times.
void put_in_order(std::vector<RecordedFrame>& frames) {
  const auto by_time = [](const RecordedFrame& one, const RecordedFrame& other) { return one.at < other.at; };
  std::ranges::stable_sort(frames, by_time);
  for (const Duration first = frames.front().at; RecordedFrame & frame : frames) frame.at -= first;
}

}  // namespace

Result<std::vector<RecordedFrame>> read_frames(const std::string& path, std::uint64_t most) {
  auto file = CaptureFileReader::open(path, "capture file");
  if (!file) return pass_on(std::move(file));
  std::vector<RecordedFrame> frames;
  std::uint64_t total = 0;
  CapturedFrame frame;
  auto outcome = CaptureFileReader::Outcome::end;
  while ((outcome = file->next(frame)) == CaptureFileReader::Outcome::frame) {
    if (const auto fault = fault_of(frame))
      return refuse(path, fmt::format("frame {} {}", frames.size() + 1, fault->first), fault->second);
    if ((total += frame.length + kFrameOverhead) > most) {
      return refuse(path, fmt::format("its frames take more than {} MiB of memory", most >> 20U),
                    "send it in parts, or with --vary on fewer queues");
    }
    frames.push_back({{frame.bytes.begin(), frame.bytes.end()}, *frame.at});
  }
  if (outcome == CaptureFileReader::Outcome::unreadable) return tl::unexpected<Error>(file->error());
  if (frames.empty()) return refuse(path, "it has no frame", "use a file with at least one");
  put_in_order(frames);
  return frames;
}

void set_destination(std::vector<RecordedFrame>& frames, const MacAddress& destination) {
  for (RecordedFrame& frame : frames) std::ranges::copy(destination, frame.bytes.begin());
}

void set_source(std::vector<RecordedFrame>& frames, const MacAddress& source) {
  for (RecordedFrame& frame : frames) std::ranges::copy(source, frame.bytes.begin() + 6);
}

}  // namespace pollux::tools
