// SPDX-License-Identifier: BSD-3-Clause
#include "differential/frames.hpp"

#include <algorithm>
#include <span>

namespace pollux::differential {
namespace {

constexpr std::size_t kShortest = 60;
constexpr std::uint8_t kTcp = 6;
constexpr std::uint8_t kUdp = 17;
constexpr std::uint8_t kUnknown = 253;  // reserved for experiments

void put16(Bytes& bytes, std::uint32_t value) {
  bytes.push_back(static_cast<std::uint8_t>(value >> 8 & 0xFF));
  bytes.push_back(static_cast<std::uint8_t>(value & 0xFF));
}

void set16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8 & 0xFF);
  bytes[at + 1] = static_cast<std::uint8_t>(value & 0xFF);
}

void put_random(Bytes& bytes, std::size_t count, Random& random) {
  for (std::size_t i = 0; i < count; ++i) bytes.push_back(random.byte());
}

/// The unfolded Internet checksum (RFC 1071). Sums of parts of even length can be added.
std::uint64_t sum_of(std::span<const std::uint8_t> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? std::uint64_t{bytes[i]} << 8 : bytes[i];
  return sum;
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xFFFF) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum & 0xFFFF);
}

/// A TCP or UDP segment with a correct checksum, or random bytes for `kUnknown`. `addresses` is the sum over the IP
/// addresses of the pseudo header.
Bytes transport(std::uint8_t protocol, std::uint64_t addresses, Random& random) {
  Bytes bytes;
  const std::size_t payload = random.once(4) ? random.between(1, 1400) : random.between(1, 100);
  if (protocol == kUnknown) {
    put_random(bytes, payload, random);
    return bytes;
  }
  put_random(bytes, 4, random);  // ports
  if (protocol == kUdp) {
    put16(bytes, static_cast<std::uint32_t>(8 + payload));
    put16(bytes, 0);
  } else {
    put_random(bytes, 8, random);
    bytes.push_back(0x50);
    bytes.push_back(0x10);
    put16(bytes, 0x2000);
    put16(bytes, 0);
    put16(bytes, 0);
  }
  put_random(bytes, payload, random);
  const std::size_t at = protocol == kUdp ? 6 : 16;
  std::uint16_t sum = fold(sum_of(bytes) + addresses + protocol + bytes.size());
  if (protocol == kUdp && sum == 0) sum = 0xFFFF;
  set16(bytes, at, sum);
  return bytes;
}

void put_ipv4(Bytes& frame, std::uint8_t protocol, Random& random) {
  const std::size_t options = random.once(5) ? 4 : 0;
  const bool fragment = random.once(8);
  Bytes header{static_cast<std::uint8_t>(0x45 + options / 4), 0, 0, 0};
  put16(header, random.word() & 0xFFFF);
  put16(header, fragment ? 0x2000 | (random.once(2) ? 0 : 64) : 0x4000);
  header.push_back(64);
  header.push_back(protocol);
  put16(header, 0);
  put_random(header, 8, random);
  if (options != 0) header.insert(header.end(), {1, 1, 1, 0});
  const Bytes inside = transport(protocol, sum_of(std::span(header).subspan(12, 8)), random);
  set16(header, 2, static_cast<std::uint32_t>(header.size() + inside.size()));
  set16(header, 10, fold(sum_of(header)));
  frame.insert(frame.end(), header.begin(), header.end());
  frame.insert(frame.end(), inside.begin(), inside.end());
}

void put_ipv6(Bytes& frame, std::uint8_t protocol, Random& random) {
  Bytes addresses;
  put_random(addresses, 32, random);
  addresses[0] = addresses[16] = 0x20;
  const Bytes inside = transport(protocol, sum_of(addresses), random);
  const bool extended = random.once(5);
  put16(frame, 0x6000);
  put16(frame, 0);
  put16(frame, static_cast<std::uint32_t>(inside.size() + (extended ? 8 : 0)));
  frame.push_back(extended ? 60 : protocol);  // destination options
  frame.push_back(64);
  frame.insert(frame.end(), addresses.begin(), addresses.end());
  if (extended) frame.insert(frame.end(), {protocol, 0, 1, 4, 0, 0, 0, 0});
  frame.insert(frame.end(), inside.begin(), inside.end());
}

}  // namespace

Bytes random_frame(Random& random) {
  Bytes frame(12);
  const Address& destination = kAddresses[random.below(kAddresses.size())];
  std::copy(destination.begin(), destination.end(), frame.begin());
  if (random.once(10)) frame[5] ^= 0x55;
  frame[6] = 0x02;
  frame[11] = random.byte();
  if (random.once(3)) {
    put16(frame, 0x8100);
    put16(frame, kVlans[random.below(kVlans.size())] | random.below(8) << 13);
  }
  const std::uint32_t kind = random.below(8);
  const std::uint8_t protocol = random.once(6) ? kUnknown : random.once(2) ? kTcp : kUdp;
  put16(frame, kind < 4 ? 0x0800 : kind < 7 ? 0x86DD : 0x88B5);
  if (kind < 4) {
    put_ipv4(frame, protocol, random);
  } else if (kind < 7) {
    put_ipv6(frame, protocol, random);
  } else {
    put_random(frame, 46 + random.below(1500), random);
  }
  while (frame.size() < kShortest) frame.push_back(0);
  return frame;
}

}  // namespace pollux::differential
