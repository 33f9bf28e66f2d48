// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/capture_core.hpp"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace pollux::observe::pcapng {
namespace {

// Numbers of the draft: 4.1 to 4.3, 4.6 and 3.5 (options), and linktypes of draft-ietf-opsawg-pcaplinktype.
enum BlockType : std::uint32_t { kInterface = 1, kStatistics = 5, kPacket = 6, kSection = 0x0A0D0D0A };
constexpr std::uint32_t kByteOrder = 0x1A2B3C4D;
constexpr std::uint16_t kMajor = 1;
constexpr std::uint16_t kMinor = 0;
constexpr std::uint16_t kEthernet = 1;
constexpr std::uint8_t kNanoseconds = 9;
constexpr std::uint8_t kLibpcapFilter = 0;

constexpr std::uint16_t kEnd = 0;
constexpr std::uint16_t kComment = 1;
enum SectionOption : std::uint16_t { kShbHardware = 2, kShbOs = 3, kShbApplication = 4 };
enum InterfaceOption : std::uint16_t {
  kIfName = 2,
  kIfDescription = 3,
  kIfMac = 6,
  kIfSpeed = 8,
  kIfResolution = 9,
  kIfFilter = 11,
  kIfFcsLength = 13,
  kIfHardware = 15,
};
enum PacketOption : std::uint16_t { kEpbFlags = 2, kEpbDropCount = 4, kEpbQueue = 6 };
enum StatisticsOption : std::uint16_t {
  kIsbStart = 2,
  kIsbEnd = 3,
  kIsbReceived = 4,
  kIsbDropped = 5,
  kIsbAccepted = 6,
  kIsbLost = 7,
  kIsbDelivered = 8,
};

constexpr unsigned kFcsShift = 5;  // in epb_flags
constexpr unsigned kReceptionShift = 2;
enum Reception : std::uint32_t { kUnicast = 1, kMulticast = 2, kBroadcast = 3 };

constexpr std::size_t padded(std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; }

/// One block: its type, its length and what `put` and the options append; the destructor ends it.
class Block {
 public:
  Block(Bytes& out, BlockType type) : out_(out), start_(out.size()) {
    put(static_cast<std::uint32_t>(type));
    put(std::uint32_t{0});  // the length
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    if (has_options_) put_option(kEnd, {});
    const auto length = static_cast<std::uint32_t>(out_.size() - start_ + sizeof(std::uint32_t));
    std::memcpy(out_.data() + start_ + sizeof(std::uint32_t), &length, sizeof length);
    put(length);
  }

  template <class Number>
  void put(Number number) {
    static_assert(std::is_integral_v<Number>);
    put_bytes(&number, sizeof number);
  }
  /// With zero bytes up to a multiple of four.
  void put_padded(const void* data, std::size_t bytes) {
    put_bytes(data, bytes);
    constexpr std::uint32_t kZeros = 0;
    put_bytes(&kZeros, padded(bytes) - bytes);
  }
  void put_option(std::uint16_t code, std::string_view value) {
    constexpr std::size_t kMost = 0xFFFF;
    const std::size_t length = std::min(value.size(), kMost);
    put(code);
    put(static_cast<std::uint16_t>(length));
    put_padded(value.data(), length);
    has_options_ = code != kEnd;
  }
  template <class Number>
  void put_number(std::uint16_t code, Number number) {
    put_option(code, {reinterpret_cast<const char*>(&number), sizeof number});
  }
  void put_text(std::uint16_t code, std::string_view text) {
    if (text.empty()) return;
    // nlohmann/json replaces what is not UTF-8 when it writes.
    const std::string json = nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    put_option(code, nlohmann::json::parse(json).get<std::string>());
  }
  /// The upper half comes first, whatever the byte order is (4.3).
  void put_time(std::uint64_t time) {
    put(static_cast<std::uint32_t>(time >> 32));
    put(static_cast<std::uint32_t>(time));
  }
  void put_time_option(std::uint16_t code, std::uint64_t time) {
    const std::array<std::uint32_t, 2> halves{static_cast<std::uint32_t>(time >> 32), static_cast<std::uint32_t>(time)};
    put_option(code, {reinterpret_cast<const char*>(halves.data()), sizeof halves});
  }

 private:
  void put_bytes(const void* data, std::size_t bytes) {
    if (bytes == 0) return;
    const auto* const first = static_cast<const std::byte*>(data);
    out_.insert(out_.end(), first, first + bytes);
  }

  Bytes& out_;
  std::size_t start_;
  bool has_options_ = false;
};

std::uint32_t reception(std::span<const std::uint8_t> frame) {
  constexpr std::size_t kAddress = 6;
  if (frame.size() < kAddress) return 0;
  const bool is_group = (frame[0] & 1) != 0;
  if (!is_group) return kUnicast;
  return std::ranges::all_of(frame.first(kAddress), [](std::uint8_t byte) { return byte == 0xFF; }) ? kBroadcast
                                                                                                    : kMulticast;
}

}  // namespace

void append(Bytes& out, const Section& section) {
  Block block(out, kSection);
  block.put(kByteOrder);
  block.put(kMajor);
  block.put(kMinor);
  block.put(~std::uint64_t{0});  // the section's length is not known
  block.put_text(kComment, section.comment);
  block.put_text(kShbHardware, section.hardware);
  block.put_text(kShbOs, section.os);
  block.put_text(kShbApplication, section.application);
}

void append(Bytes& out, const Interface& interface) {
  Block block(out, kInterface);
  block.put(kEthernet);
  block.put(std::uint16_t{0});  // reserved
  block.put(interface.snaplen);
  block.put_text(kIfName, interface.name);
  block.put_text(kIfDescription, interface.description);
  if (interface.mac) {
    block.put_option(kIfMac, {reinterpret_cast<const char*>(interface.mac->data()), interface.mac->size()});
  }
  if (interface.speed != 0) block.put_number(kIfSpeed, interface.speed);
  block.put_number(kIfResolution, kNanoseconds);
  if (!interface.filter.empty()) {
    block.put_option(kIfFilter, std::string(1, static_cast<char>(kLibpcapFilter)) + interface.filter);
  }
  if (interface.fcs_bytes) block.put_number(kIfFcsLength, *interface.fcs_bytes);
  block.put_text(kIfHardware, interface.hardware);
}

void append(Bytes& out, const Packet& packet, std::span<const std::uint8_t> captured) {
  Block block(out, kPacket);
  block.put(packet.interface);
  block.put_time(packet.time);
  block.put(static_cast<std::uint32_t>(captured.size()));
  block.put(packet.length);
  block.put_padded(captured.data(), captured.size());
  block.put_text(kComment, packet.comment);
  block.put_number(kEpbFlags, static_cast<std::uint32_t>(packet.direction) | reception(captured) << kReceptionShift |
                                  std::uint32_t{packet.fcs_bytes} << kFcsShift);
  if (packet.lost != 0) block.put_number(kEpbDropCount, packet.lost);
  if (packet.queue) block.put_number(kEpbQueue, *packet.queue);
}

void append(Bytes& out, const Statistics& statistics) {
  Block block(out, kStatistics);
  block.put(statistics.interface);
  block.put_time(statistics.time);
  block.put_text(kComment, statistics.comment);
  block.put_time_option(kIsbStart, statistics.start);
  block.put_time_option(kIsbEnd, statistics.end);
  block.put_number(kIsbReceived, statistics.received);
  if (statistics.dropped) block.put_number(kIsbDropped, *statistics.dropped);
  block.put_number(kIsbAccepted, statistics.accepted);
  block.put_number(kIsbLost, statistics.lost);
  block.put_number(kIsbDelivered, statistics.delivered);
}

}  // namespace pollux::observe::pcapng
