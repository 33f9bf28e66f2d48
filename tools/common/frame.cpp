// SPDX-License-Identifier: BSD-3-Clause
#include "common/frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace pollux::tools {
namespace {

constexpr std::uint32_t kIpAt = 14;
constexpr std::uint32_t kUdpAt = 34;
constexpr std::uint32_t kIpChecksumAt = 24;
constexpr std::uint32_t kIpAddressesAt = 26;
constexpr std::uint32_t kFlowAt = 28;       // a byte of the source address
constexpr std::uint32_t kIdentityEnd = 38;  // IP addresses and UDP ports
constexpr std::uint32_t kPort = 9;          // discard
constexpr std::uint32_t kMagic = 0x506C7578;

void put16(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8U);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

void put32(std::span<std::uint8_t> bytes, std::size_t at, std::uint32_t value) {
  put16(bytes, at, value >> 16U);
  put16(bytes, at + 2, value);
}

/// RFC 1071.
std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8U | bytes[i + 1]);
  while (sum > 0xFFFF) sum = (sum & 0xFFFFU) + (sum >> 16U);
  return ~sum & 0xFFFFU;
}

/// The pattern's byte at an offset. Adjacent bytes differ, and so do bytes of a frame that are a multiple of 256 apart.
std::uint8_t pattern(std::uint32_t at) { return static_cast<std::uint8_t>(at * 167 + (at >> 8U) * 29 + 5); }

/// A checksum of a stamp. No change of one bit leaves it unchanged, since the factor is odd.
std::uint32_t stamp_check(std::uint64_t stamp) noexcept {
  return static_cast<std::uint32_t>(stamp * 0x9E3779B97F4A7C15U >> 32U);
}

void store_stamp(std::uint8_t* at, std::uint64_t stamp) noexcept {
  const std::uint32_t check = stamp_check(stamp);
  std::memcpy(at, &stamp, sizeof stamp);
  std::memcpy(at + sizeof stamp, &check, sizeof check);
}

/// Writes the source of the flow, and the checksum of the IPv4 header.
void set_flow(std::span<std::uint8_t> bytes, std::uint16_t flow) {
  bytes[kFlowAt] = static_cast<std::uint8_t>(flow);
  put16(bytes, kUdpAt, kPort + (flow >> 8U));
  put16(bytes, kIpChecksumAt, 0);
  put16(bytes, kIpChecksumAt, checksum(bytes.subspan(kIpAt, kUdpAt - kIpAt)));
}

void set_length(std::span<std::uint8_t> bytes, std::uint32_t length) {
  put16(bytes, kIpAt + 2, length - kIpAt);
  put16(bytes, kUdpAt + 4, length - kUdpAt);
}

std::uint64_t stamp_of(std::uint16_t flow, std::uint64_t sequence) { return flow * frame::kMaxSequence + sequence; }

/// A frame with the pattern in the places of the stamps.
std::vector<std::uint8_t> make_unstamped(std::uint32_t length, const MacAddress& destination, const MacAddress& source,
                                         std::uint16_t flow) {
  std::vector<std::uint8_t> bytes(length);
  for (std::uint32_t at = 0; at < length; ++at) bytes[at] = pattern(at);
  std::copy(destination.begin(), destination.end(), bytes.begin());
  std::copy(source.begin(), source.end(), bytes.begin() + 6);
  put16(bytes, 12, 0x0800);
  put16(bytes, kIpAt, 0x4500);
  put32(bytes, kIpAt + 4, 0x00004000);  // identification 0, don't fragment
  put32(bytes, kIpAt + 8, 0x40110000);  // TTL 64, UDP, checksum set below
  put32(bytes, kIpAddressesAt, 0xC6120001);
  put32(bytes, kIpAddressesAt + 4, 0xC6120002);
  put32(bytes, kUdpAt, kPort);
  put16(bytes, kUdpAt + 6, 0);  // no checksum, as IPv4 allows
  set_length(bytes, length);
  set_flow(bytes, flow);
  put32(bytes, frame::kMagicAt, kMagic);
  return bytes;
}

}  // namespace

std::vector<std::uint8_t> make_frame(std::uint32_t length, const MacAddress& destination, const MacAddress& source,
                                     std::uint16_t flow) {
  std::vector<std::uint8_t> bytes = make_unstamped(length, destination, source, flow);
  frame::for_each_stamp(length, [&](std::uint32_t at) { store_stamp(&bytes[at], stamp_of(flow, 0)); });
  return bytes;
}

bool append_chained(Mbuf& mbuf, MempoolCache& cache, std::span<const std::uint8_t> bytes) noexcept {
  std::uint32_t room = mbuf.tailroom();
  while (true) {
    const std::uint32_t piece = std::min(room, static_cast<std::uint32_t>(bytes.size()));
    std::uint8_t* const data = mbuf.append(piece);
    if (data == nullptr) return false;
    std::memcpy(data, bytes.data(), piece);
    bytes = bytes.subspan(piece);
    if (bytes.empty()) return true;
    MbufPtr more = cache.allocate();
    if (more == nullptr) return false;
    room = more->tailroom();
    if (!mbuf.chain(more)) return false;
  }
}

bool FrameBuilder::build(Mbuf& mbuf, MempoolCache& cache, std::uint64_t sequence, std::uint16_t flow) noexcept {
  if (flow != flow_) {
    set_flow(bytes_, flow);
    flow_ = flow;
  }
  const std::uint64_t stamp = stamp_of(flow, sequence);
  std::uint8_t* const data = mbuf.append(length());
  if (data == nullptr) {
    // A stamp may span two buffers, so the frame is stamped before it is split.
    frame::for_each_stamp(length(), [&](std::uint32_t at) { store_stamp(&bytes_[at], stamp); });
    return append_chained(mbuf, cache, bytes_);
  }
  std::memcpy(data, bytes_.data(), bytes_.size());
  frame::for_each_stamp(length(), [&](std::uint32_t at) { store_stamp(data + at, stamp); });
  return true;
}

// Unstamped, since a shorter frame has the pattern where it ends within a stamp of a longer one.
FrameChecker::FrameChecker() : expected_(make_unstamped(frame::kMaxLength, {}, {}, 0)), length_(frame::kMaxLength) {}

FrameChecker::CheckResult FrameChecker::check(const Mbuf& mbuf) {
  if (mbuf.next() == nullptr) return check_bytes(mbuf.bytes());
  joined_.resize(mbuf.packet_length());
  joined_.resize(mbuf.copy_out(0, joined_));
  return check_bytes(joined_);
}

bool FrameChecker::is_ours(std::span<const std::uint8_t> bytes) const noexcept {
  const auto same = [&](std::uint32_t from, std::uint32_t to) {
    return std::memcmp(&bytes[from], &expected_[from], to - from) == 0;
  };
  return same(frame::kMagicAt, frame::kFirstStampAt) ||
         (same(kIpAddressesAt, kFlowAt) && same(kFlowAt + 1, kUdpAt) && same(kUdpAt + 2, kIdentityEnd));
}

void FrameChecker::expect(std::uint16_t flow, std::uint32_t length) {
  if (flow == flow_ && length == length_) return;
  set_length(expected_, length);
  set_flow(expected_, flow);
  flow_ = flow;
  length_ = length;
}

FrameChecker::CheckResult FrameChecker::check_bytes(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < frame::kMinLength || !is_ours(bytes)) return {Status::foreign};
  if (bytes.size() > frame::kMaxLength) return {Status::corrupt};
  const auto length = static_cast<std::uint32_t>(bytes.size());
  std::uint64_t stamp = 0;
  std::memcpy(&stamp, &bytes[frame::kFirstStampAt], sizeof stamp);
  const auto flow = static_cast<std::uint16_t>(stamp / frame::kMaxSequence);
  expect(flow, length);
  std::array<std::uint8_t, frame::kStampBytes> whole{};
  store_stamp(whole.data(), stamp);
  bool intact = true;
  std::uint32_t from = frame::kCheckedFrom;
  frame::for_each_stamp(length, [&](std::uint32_t at) {
    intact = intact && std::memcmp(&bytes[from], &expected_[from], at - from) == 0 &&
             std::memcmp(&bytes[at], whole.data(), whole.size()) == 0;
    from = at + frame::kStampBytes;
  });
  intact = intact && std::memcmp(bytes.data() + from, expected_.data() + from, length - from) == 0;
  if (!intact) return {Status::corrupt};
  return {Status::good, stamp % frame::kMaxSequence, flow};
}

}  // namespace pollux::tools
