// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/frame_file.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "common/frame.hpp"

namespace pollux::examples {
namespace {

constexpr std::uint32_t kHeaderBytes = 14;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30U;

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
  if (header.caplen < kHeaderBytes || header.caplen > frame::kMaxLength) {
    return std::pair(fmt::format("has {} bytes, not {} to {}", header.caplen, kHeaderBytes, frame::kMaxLength),
                     "remove it, e.g. with editcap; captures of a machine that merges or segments frames have longer "
                     "ones than its wire");
  }
  return std::nullopt;
}

Duration time_of(const pcap_pkthdr& header) {
  return std::chrono::seconds(header.ts.tv_sec) + std::chrono::nanoseconds(header.ts.tv_usec);
}

}  // namespace

Result<std::vector<RecordedFrame>> read_frames(const std::string& path) {
  auto file = open_file(path);
  if (!file) return pass_on(std::move(file));
  std::vector<RecordedFrame> frames;
  std::uint64_t total = 0;
  Duration first{0};
  pcap_pkthdr* header = nullptr;
  const std::uint8_t* bytes = nullptr;
  int status = 0;
  while ((status = pcap_next_ex(file->get(), &header, &bytes)) == 1) {
    if (const auto fault = fault_of(*header))
      return refuse(path, fmt::format("frame {} {}", frames.size() + 1, fault->first), fault->second);
    if ((total += header->caplen) > kMostBytes)
      return refuse(path, fmt::format("it has more than {} MiB of frames", kMostBytes >> 20U), "send it in parts");
    if (frames.empty()) first = time_of(*header);
    // A clock that was set back while frames were captured must not stop a replay.
    const Duration before = frames.empty() ? Duration(0) : frames.back().at;
    frames.push_back({{bytes, bytes + header->caplen}, std::max(before, time_of(*header) - first)});
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
