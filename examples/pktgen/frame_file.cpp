// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_file.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "common/frame.hpp"
#include "common/options.hpp"

namespace pollux::examples {
namespace {

/// A card refuses shorter ones, even though it pads frames (Linux igb, igb_xmit_frame).
constexpr std::uint32_t kMinBytes = 17;
/// Captures of several queues or processors are out of order by less; a clock was set back by more.
constexpr Duration kMostReordered = std::chrono::milliseconds(10);
/// What a frame takes beside its bytes: its objects, and what is reserved for them and by their allocation.
constexpr std::uint64_t kFrameOverhead = 128;

struct ClosePcap {
  void operator()(pcap_t* file) const noexcept { pcap_close(file); }
};
using PcapFile = std::unique_ptr<pcap_t, ClosePcap>;

tl::unexpected<Error> refuse(const std::string& path, std::string what, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", path, what), std::move(hint));
}

Result<PcapFile> open_file(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  PcapFile file(pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error.data()));
  if (file == nullptr) {
    const std::string_view why = error.data();  // which may begin with the path
    return fail(
        ErrorCode::io_error,
        why.starts_with(path) ? fmt::format("cannot read {}", why) : fmt::format("cannot read {}: {}", path, why),
        "use a pcap or pcapng file, as tcpdump -w, Wireshark or 'pollux capture -w' writes it");
  }
  if (const int type = pcap_datalink(file.get()); type != DLT_EN10MB) {
    const char* const name = pcap_datalink_val_to_name(type);
    return refuse(path, fmt::format("its frames are of type {}, not Ethernet", name == nullptr ? "unknown" : name),
                  "capture on one Ethernet interface, not on 'any'");
  }
  return file;
}

/// What is wrong with a frame, and what to do.
std::optional<std::pair<std::string, std::string>> fault_of(const pcap_pkthdr& header) {
  if (header.caplen < header.len) {
    return std::pair(fmt::format("has {} of its {} bytes", header.caplen, header.len),
                     "capture whole frames (tcpdump -s 0), or remove this one, e.g. with editcap");
  }
  if (header.caplen < kMinBytes || header.caplen > frame::kMaxLength) {
    return std::pair(fmt::format("has {} bytes, not {} to {}", header.caplen, kMinBytes, frame::kMaxLength),
                     "remove it, e.g. with editcap; captures of a machine that merges or segments frames have longer "
                     "ones than its wire");
  }
  return std::nullopt;
}

/// The time from one stamp to another, which is negative if that is earlier; nothing if it is longer than a recording
/// may be. Stamps are untrusted, so arithmetic must not overflow. Their fractions are in nanoseconds and have 32 bits
/// at most.
std::optional<Duration> between(const timeval& from, const timeval& to) {
  constexpr auto kMost = std::chrono::duration_cast<std::chrono::seconds>(kLongestRecording).count();
  std::int64_t seconds = 0;
  if (__builtin_sub_overflow(to.tv_sec, from.tv_sec, &seconds) || seconds > kMost || seconds < -kMost) return {};
  return std::chrono::seconds(seconds) + std::chrono::nanoseconds(to.tv_usec - from.tv_usec);
}

/// When the frames of a file are due. Time never goes back: frames that are a little out of order leave with the one
/// before, and after a clock was set back the gaps between frames go on as they were captured.
class Timeline {
 public:
  /// From the first frame; nothing if that is too long.
  [[nodiscard]] std::optional<Duration> next(const timeval& stamp) {
    if (!first_) first_ = stamp;
    const auto since_first = between(*first_, stamp);
    if (!since_first) return {};
    if (*since_first + set_back_ < last_ - kMostReordered) set_back_ = last_ - *since_first;
    last_ = std::max(last_, *since_first + set_back_);
    return last_ <= kLongestRecording ? std::optional(last_) : std::nullopt;
  }

 private:
  std::optional<timeval> first_;
  Duration last_{0};
  Duration set_back_{0};  // by how much a clock was set back so far
};

}  // namespace

Result<std::vector<RecordedFrame>> read_frames(const std::string& path, std::uint64_t most) {
  auto file = open_file(path);
  if (!file) return pass_on(std::move(file));
  std::vector<RecordedFrame> frames;
  std::uint64_t total = 0;
  Timeline timeline;
  pcap_pkthdr* header = nullptr;
  const std::uint8_t* bytes = nullptr;
  int status = 0;
  while ((status = pcap_next_ex(file->get(), &header, &bytes)) == 1) {
    if (const auto fault = fault_of(*header))
      return refuse(path, fmt::format("frame {} {}", frames.size() + 1, fault->first), fault->second);
    if ((total += header->caplen + kFrameOverhead) > most) {
      return refuse(path, fmt::format("its frames take more than {} MiB of memory", most >> 20U),
                    "send it in parts, or with --vary on fewer queues");
    }
    const auto at = timeline.next(header->ts);
    if (!at) {
      return refuse(path,
                    fmt::format("frame {} was captured more than {:.0f} s before or after the first", frames.size() + 1,
                                to_seconds(kLongestRecording)),
                    "remove it, or correct its time, e.g. with editcap -t");
    }
    frames.push_back({{bytes, bytes + header->caplen}, *at});
  }
  if (status != PCAP_ERROR_BREAK) {
    return fail(ErrorCode::io_error,
                fmt::format("{}: after frame {}: {}", path, frames.size(), pcap_geterr(file->get())),
                "the file is damaged or incomplete; capture it again");
  }
  if (frames.empty()) return refuse(path, "it has no frame", "use a file with at least one");
  return frames;
}

void set_destination(std::vector<RecordedFrame>& frames, const MacAddress& destination) {
  for (RecordedFrame& frame : frames) std::ranges::copy(destination, frame.bytes.begin());
}

void set_source(std::vector<RecordedFrame>& frames, const MacAddress& source) {
  for (RecordedFrame& frame : frames) std::ranges::copy(source, frame.bytes.begin() + 6);
}

}  // namespace pollux::examples
