// SPDX-License-Identifier: BSD-3-Clause
#include "files/pcapng_records.hpp"

#include <cstring>

namespace pollux::files {
namespace {

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

}  // namespace

std::uint32_t PcapngRecords::word(std::size_t at) const noexcept {
  std::uint32_t value = 0;
  if (body_.size() >= sizeof value && at <= body_.size() - sizeof value)
    std::memcpy(&value, body_.data() + at, sizeof value);
  return swapped_ ? __builtin_bswap32(value) : value;
}

std::uint16_t PcapngRecords::half(std::size_t at) const noexcept {
  std::uint16_t value = 0;
  if (body_.size() >= sizeof value && at <= body_.size() - sizeof value)
    std::memcpy(&value, body_.data() + at, sizeof value);
  return swapped_ ? __builtin_bswap16(value) : value;
}

// The value of an option among those from `at` on; empty if there is none.
std::span<const std::uint8_t> PcapngRecords::option(std::size_t at, std::uint16_t code) const noexcept {
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

// The magic of a section says in which byte order the length before it is.
bool PcapngRecords::read_section(std::uint32_t& length) {
  std::uint32_t magic = 0;
  if (std::fread(&magic, sizeof magic, 1, file_.get()) != 1) return false;
  swapped_ = magic != kByteOrder;
  if (swapped_ && __builtin_bswap32(magic) != kByteOrder) return false;
  if (swapped_) length = __builtin_bswap32(length);
  first_ = fcs_bytes_.size();
  return true;
}

bool PcapngRecords::read_block() {
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

void PcapngRecords::add_interface() {
  const auto fcs = option(kInterfaceOptions, kInterfaceFcs);
  fcs_bytes_.push_back(fcs.size() == 1 ? fcs[0] : 0);
}

std::optional<PcapngRecords::Record> PcapngRecords::packet() const {
  Record record;
  if (type_ == kEnhancedPacket) record.interface = word(0);
  if (type_ == kPacket) record.interface = half(0);
  if (record.interface >= fcs_bytes_.size() - first_) return std::nullopt;
  record.interface += static_cast<std::uint32_t>(first_);
  record.fcs_bytes = fcs_bytes_[record.interface];
  if (type_ == kSimplePacket) return record;
  const auto flags = option(kPacketData + padded(word(kCapturedLength)), kPacketFlags);
  if (flags.size() != 4) return record;
  const std::uint32_t fcs = word(static_cast<std::size_t>(flags.data() - body_.data())) >> 5U & 0xFU;
  if (fcs != 0) record.fcs_bytes = fcs;
  return record;
}

std::optional<PcapngRecords::Record> PcapngRecords::next() {
  while (read_block()) {
    if (type_ == kInterface) add_interface();
    if (type_ == kPacket || type_ == kSimplePacket || type_ == kEnhancedPacket) return packet();
  }
  return std::nullopt;
}

}  // namespace pollux::files
