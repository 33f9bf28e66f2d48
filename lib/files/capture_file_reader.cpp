// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/files/capture_file_reader.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/open_file.hpp"
#include "files/capture_clock.hpp"
#include "files/capture_file_writer.hpp"
#include "files/pcapng_records.hpp"

namespace pollux {
namespace {

using files::CaptureClock;
using files::PcapngRecords;
using PcapHandle = std::unique_ptr<pcap_t, files::PcapClose>;

constexpr std::size_t kStreamBuffer = 65536;

/// A position in a file, for a stream that does not move others on the same descriptor.
struct Position {
  int descriptor;
  off_t at;
};

ssize_t read_on(void* cookie, char* to, std::size_t count) {
  auto& position = *static_cast<Position*>(cookie);
  const ssize_t got = ::pread(position.descriptor, to, count, position.at);
  if (got > 0) position.at += got;
  return got;
}

int forget(void* cookie) {
  delete static_cast<Position*>(cookie);
  return 0;
}

/// A stream from the beginning of a file. nullptr without memory.
std::FILE* stream_of(const FileDescriptor& file) {
  auto position = std::make_unique<Position>(Position{file.get(), 0});
  std::FILE* const stream =
      ::fopencookie(position.get(), "rb", {.read = read_on, .write = nullptr, .seek = nullptr, .close = forget});
  if (stream == nullptr) return nullptr;
  static_cast<void>(position.release());
  static_cast<void>(std::setvbuf(stream, nullptr, _IOFBF, kStreamBuffer));
  return stream;
}

bool is_pcapng(const FileDescriptor& file) {
  constexpr std::uint32_t kSectionHeader = 0x0A0D0D0A;
  std::uint32_t magic = 0;
  return ::pread(file.get(), &magic, sizeof magic, 0) == sizeof magic && magic == kSectionHeader;
}

// The bits of the field above the link type: draft-ietf-opsawg-pcap, 4. The length is in units of 16 bits.
std::uint32_t fcs_bytes_of(pcap_t* pcap) {
  constexpr std::uint32_t kHasLength = 0x0400'0000;
  const auto field = static_cast<std::uint32_t>(::pcap_datalink_ext(pcap));
  return (field & kHasLength) != 0 ? 2 * (field >> 28U) : 0;
}

/// What to do about a file that libpcap cannot read.
std::string hint_for(std::string_view why) {
  if (why.find("truncated") != std::string_view::npos) {
    return "the file is incomplete: capture it again, or keep its whole frames with: editcap FILE NEW";
  }
  return "libpcap reads pcap and pcapng as tcpdump -w, Wireshark or 'pollux capture -w' writes them; convert what "
         "tshark can read (editcap -F pcap FILE NEW; first one link type of several: tshark -r FILE -Y "
         "frame.interface_id==0 -w NEW)";
}

}  // namespace

class CaptureFileReader::Impl {
 public:
  Impl(FileDescriptor file, std::string what) : file_(std::move(file)), what_(std::move(what)) {}

  /// Starts at the beginning of the file.
  [[nodiscard]] Result<void> open();
  [[nodiscard]] Outcome next(CapturedFrame& frame);
  [[nodiscard]] bool rewind();
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }
  [[nodiscard]] Error error() const {
    const std::string_view why = ::pcap_geterr(pcap_.get());
    return {ErrorCode::io_error, fmt::format("{}: after frame {}: {}", what_, frames_, why), hint_for(why)};
  }

 private:
  FileDescriptor file_;
  std::string what_;  // name and path
  PcapHandle pcap_;
  std::optional<PcapngRecords> records_;  // of a pcapng file
  std::uint32_t fcs_bytes_ = 0;           // of all frames of a pcap file
  std::uint64_t frames_ = 0;
  CaptureClock clock_;
};

Result<void> CaptureFileReader::Impl::open() {
  std::array<char, PCAP_ERRBUF_SIZE> why{};
  PcapngRecords::Stream stream(stream_of(file_));
  PcapngRecords::Stream second(stream_of(file_));
  if (stream == nullptr || second == nullptr) return fail_errno(ErrorCode::no_memory, what_, errno, "free some memory");
  pcap_.reset(::pcap_fopen_offline_with_tstamp_precision(stream.get(), PCAP_TSTAMP_PRECISION_NANO, why.data()));
  if (pcap_ == nullptr) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} is not a capture file that libpcap can read: {}", what_, why.data()),
                hint_for(why.data()));
  }
  static_cast<void>(stream.release());  // libpcap closes it
  if (const int type = ::pcap_datalink(pcap_.get()); type != DLT_EN10MB) {
    const char* const name = ::pcap_datalink_val_to_name(type);
    return fail(ErrorCode::invalid_argument,
                fmt::format("{} has frames of link type {}, not Ethernet", what_,
                            name != nullptr ? name : std::to_string(type)),
                "capture on one Ethernet interface, not on 'any' or a tunnel");
  }
  fcs_bytes_ = fcs_bytes_of(pcap_.get());
  records_.reset();
  if (is_pcapng(file_)) records_.emplace(std::move(second));
  frames_ = 0;
  return {};
}

CaptureFileReader::Outcome CaptureFileReader::Impl::next(CapturedFrame& frame) {
  pcap_pkthdr* header = nullptr;
  const u_char* data = nullptr;
  const int status = ::pcap_next_ex(pcap_.get(), &header, &data);
  if (status == PCAP_ERROR_BREAK) return Outcome::end;
  if (status != 1) return Outcome::unreadable;
  ++frames_;
  const PcapngRecords::Record record =
      records_ ? records_->next().value_or(PcapngRecords::Record{}) : PcapngRecords::Record{.fcs_bytes = fcs_bytes_};
  const std::uint32_t length = header->len - std::min<std::uint32_t>(header->len, record.fcs_bytes);
  frame = {.bytes = {data, std::min<std::uint32_t>(header->caplen, length)},
           .length = length,
           .at = clock_.time_of({header->ts.tv_sec, header->ts.tv_usec}, record.interface),
           .interface = record.interface};
  return Outcome::frame;
}

bool CaptureFileReader::Impl::rewind() {
  clock_.begin_round(gap_between_rounds(clock_.round_length(), frames_));
  return open().has_value();
}

Result<CaptureFileReader> CaptureFileReader::open(const std::string& path, std::string_view name) {
  auto file = open_input_file(path, name);
  if (!file) return pass_on(std::move(file));
  auto impl = std::make_unique<Impl>(*std::move(file), fmt::format("{}: {}", name, path));
  if (auto opened = impl->open(); !opened) return pass_on(std::move(opened));
  return CaptureFileReader(std::move(impl));
}

CaptureFileReader::CaptureFileReader(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
CaptureFileReader::CaptureFileReader(CaptureFileReader&& other) noexcept = default;
CaptureFileReader& CaptureFileReader::operator=(CaptureFileReader&& other) noexcept = default;
CaptureFileReader::~CaptureFileReader() = default;

CaptureFileReader::Outcome CaptureFileReader::next(CapturedFrame& frame) noexcept { return impl_->next(frame); }
bool CaptureFileReader::rewind() noexcept { return impl_->rewind(); }
std::uint64_t CaptureFileReader::frames() const noexcept { return impl_->frames(); }
Error CaptureFileReader::error() const { return impl_->error(); }

}  // namespace pollux
