// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/files/capture_file_reader.hpp"

#include <fmt/format.h>
#include <pcap/pcap.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "base/file_descriptor.hpp"
#include "base/open_file.hpp"
#include "files/capture_file_writer.hpp"

namespace pollux {
namespace files {

/// A time stamp of a capture file, which may be any number.
struct Stamp {
  std::int64_t seconds = 0;
  std::int64_t nanoseconds = 0;
};

/// Makes times from stamps, as CaptureFileReader documents it.
class CaptureClock {
 public:
  /// Interfaces write their frames in blocks, and several queues or processors share an interface: by this, frames may
  /// be out of order. A clock was set back by more.
  static constexpr Duration kMostReordered = std::chrono::seconds(1);

  /// The time of a frame, from the first one on; nullopt if that is too far from it.
  [[nodiscard]] std::optional<Duration> time_of(const Stamp& stamp, std::uint32_t interface) {
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
  /// The time of a frame without a stamp: that of the frame before it.
  [[nodiscard]] Duration time_without_stamp() const noexcept { return latest_; }
  /// The times of the next round of the same file begin `gap` after the latest one.
  void begin_round(Duration gap) {
    round_start_ = latest_ + gap;
    latest_ = round_start_;
    first_.reset();
    interfaces_.clear();
  }
  /// The latest time of the round, from its first frame on.
  [[nodiscard]] Duration round_length() const noexcept { return latest_ - round_start_; }

 private:
  /// The time from one stamp to another, which is negative if that is earlier. Stamps are untrusted, so arithmetic must
  /// not overflow. libpcap's fractions have 32 bits at most.
  static std::optional<Duration> between(const Stamp& from, const Stamp& to) {
    constexpr auto kMost = std::chrono::duration_cast<std::chrono::seconds>(kLongestRecording).count();
    std::int64_t seconds = 0;
    if (__builtin_sub_overflow(to.seconds, from.seconds, &seconds) || seconds > kMost || seconds < -kMost) return {};
    return std::chrono::seconds(seconds) + std::chrono::nanoseconds(to.nanoseconds - from.nanoseconds);
  }

  struct Interface {
    Duration last = Duration::min();  // min: no frame yet
    Duration set_back{0};             // by how much its clock was set back so far
  };

  std::optional<Stamp> first_;
  Duration round_start_{0};
  Duration latest_{0};
  std::vector<Interface> interfaces_;
};

constexpr std::uint32_t kSection = 0x0A0D0D0A;
constexpr std::uint32_t kInterface = 1;
constexpr std::uint32_t kPacket = 2;  // obsolete
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint32_t kByteOrder = 0x1A2B3C4D;

constexpr std::uint32_t kHeaderBytes = 8;  // type and length; the length is repeated behind the body
constexpr std::uint32_t kLeastBytes = kHeaderBytes + 4;
constexpr std::uint32_t kMostBytes = 16U << 20U;  // as libpcap

constexpr std::uint16_t kInterfaceFcs = 13;  // if_fcslen
constexpr std::uint16_t kPacketFlags = 2;    // epb_flags, pack_flags
constexpr std::size_t kInterfaceOptions = 8;
constexpr std::size_t kCapturedLength = 12;
constexpr std::size_t kPacketData = 20;

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 3) & ~std::size_t{3}; }

/// What libpcap does not say about the frames of a pcapng file (draft-ietf-opsawg-pcapng, 4). The file is untrusted.
class PcapngRecords {
 public:
  struct Record {
    std::uint32_t interface = 0;  ///< of all interfaces in the file
    std::uint32_t fcs_bytes = 0;  ///< of the check sequence at the end of the frame
    bool has_stamp = true;        ///< a simple packet block has none
  };
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  using Stream = std::unique_ptr<std::FILE, Close>;

  /// `file` is at the beginning of the file.
  explicit PcapngRecords(Stream file) noexcept : file_(std::move(file)) {}

  /// The next record with a frame, as libpcap counts them. nullopt: the file has no further one that can be read.
  [[nodiscard]] std::optional<Record> next() {
    while (read_block()) {
      if (type_ == kInterface) add_interface();
      if (type_ == kPacket || type_ == kSimplePacket || type_ == kEnhancedPacket) return packet();
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] bool read_block() {
    std::uint32_t header[2];
    if (std::fread(header, sizeof header, 1, file_.get()) != 1) return false;
    const bool is_section = header[0] == kSection;  // the same in both byte orders
    std::uint32_t length = is_section || !swapped_ ? header[1] : __builtin_bswap32(header[1]);
    type_ = is_section || !swapped_ ? header[0] : __builtin_bswap32(header[0]);
    if (is_section && !read_section(length)) return false;
    const std::uint32_t before = kHeaderBytes + (is_section ? 4 : 0);
    if (length < kLeastBytes + (is_section ? 4 : 0) || length > kMostBytes || length % 4 != 0) return false;
    body_.resize(length - before);
    if (std::fread(body_.data(), body_.size(), 1, file_.get()) != 1) return false;
    body_.resize(body_.size() - 4);  // the repeated length
    return true;
  }
  // The magic of a section says in which byte order the length before it is.
  [[nodiscard]] bool read_section(std::uint32_t& length) {
    std::uint32_t magic = 0;
    if (std::fread(&magic, sizeof magic, 1, file_.get()) != 1) return false;
    swapped_ = magic != kByteOrder;
    if (swapped_ && __builtin_bswap32(magic) != kByteOrder) return false;
    if (swapped_) length = __builtin_bswap32(length);
    first_ = fcs_bytes_.size();
    return true;
  }
  void add_interface() {
    const auto fcs = option(kInterfaceOptions, kInterfaceFcs);
    fcs_bytes_.push_back(fcs.size() == 1 ? fcs[0] : 0);
  }
  [[nodiscard]] std::optional<Record> packet() const {
    Record record;
    if (type_ == kEnhancedPacket) record.interface = word(0);
    if (type_ == kPacket) record.interface = half(0);
    if (record.interface >= fcs_bytes_.size() - first_) return std::nullopt;
    record.interface += static_cast<std::uint32_t>(first_);
    record.fcs_bytes = fcs_bytes_[record.interface];
    record.has_stamp = type_ != kSimplePacket;
    if (type_ == kSimplePacket) return record;
    const auto flags = option(kPacketData + padded(word(kCapturedLength)), kPacketFlags);
    if (flags.size() != 4) return record;
    const std::uint32_t fcs = word(static_cast<std::size_t>(flags.data() - body_.data())) >> 5U & 0xFU;
    if (fcs != 0) record.fcs_bytes = fcs;
    return record;
  }
  [[nodiscard]] std::uint32_t word(std::size_t at) const noexcept {
    std::uint32_t value = 0;
    if (body_.size() >= sizeof value && at <= body_.size() - sizeof value)
      std::memcpy(&value, body_.data() + at, sizeof value);
    return swapped_ ? __builtin_bswap32(value) : value;
  }
  [[nodiscard]] std::uint16_t half(std::size_t at) const noexcept {
    std::uint16_t value = 0;
    if (body_.size() >= sizeof value && at <= body_.size() - sizeof value)
      std::memcpy(&value, body_.data() + at, sizeof value);
    return swapped_ ? __builtin_bswap16(value) : value;
  }
  // The value of an option among those from `at` on; empty if there is none.
  [[nodiscard]] std::span<const std::uint8_t> option(std::size_t at, std::uint16_t code) const noexcept {
    constexpr std::size_t kOptionHeader = 4;
    while (at + kOptionHeader <= body_.size()) {
      const std::uint16_t found = half(at);
      const std::size_t length = half(at + 2);
      at += kOptionHeader;
      if (found == 0 || at + length > body_.size()) break;
      if (found == code) return std::span(body_).subspan(at, length);
      at += padded(length);
    }
    return {};
  }

  Stream file_;
  bool swapped_ = false;  // the section has the other byte order
  std::uint32_t type_ = 0;
  std::vector<std::uint8_t> body_;
  std::size_t first_ = 0;                // index of the section's first interface
  std::vector<std::uint8_t> fcs_bytes_;  // by interface
};

}  // namespace files

namespace {

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
  std::uint32_t magic = 0;
  return ::pread(file.get(), &magic, sizeof magic, 0) == sizeof magic && magic == files::kSection;
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
  [[nodiscard]] Result<void> open() {
    std::array<char, PCAP_ERRBUF_SIZE> why{};
    files::PcapngRecords::Stream stream(stream_of(file_));
    files::PcapngRecords::Stream second(stream_of(file_));
    if (stream == nullptr || second == nullptr)
      return fail_errno(ErrorCode::no_memory, what_, errno, "free some memory");
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
  [[nodiscard]] Outcome next(CapturedFrame& frame) {
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    const int status = ::pcap_next_ex(pcap_.get(), &header, &data);
    if (status == PCAP_ERROR_BREAK) return Outcome::end;
    if (status != 1) return Outcome::unreadable;
    ++frames_;
    const files::PcapngRecords::Record record = records_ ? records_->next().value_or(files::PcapngRecords::Record{})
                                                         : files::PcapngRecords::Record{.fcs_bytes = fcs_bytes_};
    const std::uint32_t length = header->len - std::min<std::uint32_t>(header->len, record.fcs_bytes);
    frame = {.bytes = {data, std::min<std::uint32_t>(header->caplen, length)},
             .length = length,
             .at = record.has_stamp ? clock_.time_of({header->ts.tv_sec, header->ts.tv_usec}, record.interface)
                                    : std::optional(clock_.time_without_stamp()),
             .interface = record.interface};
    return Outcome::frame;
  }
  [[nodiscard]] bool rewind() {
    clock_.begin_round(gap_between_rounds(clock_.round_length(), frames_));
    return open().has_value();
  }
  [[nodiscard]] std::uint64_t frames() const noexcept { return frames_; }
  [[nodiscard]] Error error() const {
    const std::string_view why = ::pcap_geterr(pcap_.get());
    return {ErrorCode::io_error, fmt::format("{}: after frame {}: {}", what_, frames_, why), hint_for(why)};
  }

 private:
  FileDescriptor file_;
  std::string what_;  // name and path
  PcapHandle pcap_;
  std::optional<files::PcapngRecords> records_;  // of a pcapng file
  std::uint32_t fcs_bytes_ = 0;                  // of all frames of a pcap file
  std::uint64_t frames_ = 0;
  files::CaptureClock clock_;
};

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
