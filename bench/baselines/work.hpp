// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

/// The workload. The code is the same for each side; only the functions of `Side` differ. A side has
///
///     template <unsigned B> struct Packets;     up to B frames; .size() is their number
///     bool alloc(Packets<B>&)                   allocates B empty buffers
///     void fill(Packets<B>&, const Frame&)      writes the frame to each buffer
///     void tx(unsigned port, Packets<B>&)       sends from the front; keeps unsent frames
///     void rx(unsigned port, Packets<B>&)       appends received frames
///     void free(Packets<B>&)
///     void request_checksums(Packets<B>&)       if it can: asks for the checksums of a checksum_frame's headers
namespace baselines {

[[noreturn]] inline void give_up(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

/// 64 bytes on the wire: the card adds four of FCS.
constexpr std::uint16_t kFrameSize = 60;
using Frame = std::array<std::uint8_t, kFrameSize>;

inline Frame broadcast_frame() {
  Frame frame{};
  std::memset(frame.data(), 0xFF, 6);
  const std::array<std::uint8_t, 6> source{0x02, 0, 0, 0, 0, 1};
  std::memcpy(frame.data() + 6, source.data(), source.size());
  frame[12] = 0x88;  // local experimental EtherType 1
  frame[13] = 0xB5;
  for (std::size_t i = 14; i < frame.size(); ++i) frame[i] = static_cast<std::uint8_t>(i);
  return frame;
}

/// An IPv4 packet of TCP, of 128 bytes on the wire. Its TCP checksum is the sum of the pseudo-header, and that of IPv4
/// is 0, as DPDK wants them: the card computes both.
constexpr std::uint32_t kIpChecksum = 24;
constexpr std::uint32_t kTcpChecksum = 50;
constexpr std::uint8_t kTcpLength = 90;
using ChecksumFrame = std::array<std::uint8_t, 124>;
/// The sum of the pseudo-header: two addresses, protocol 6, and the length of header and payload.
constexpr std::array<std::uint8_t, 2> kPseudoSum{0x14, 0x63};

inline ChecksumFrame checksum_frame() {
  ChecksumFrame frame{};
  const Frame ethernet = broadcast_frame();
  std::memcpy(frame.data(), ethernet.data(), 12);
  constexpr std::array<std::uint8_t, 22> kIpv4{8, 0,  0x45, 0, 0, 20 + kTcpLength, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0,
                                               1, 10, 0,    0, 2};
  constexpr std::array<std::uint8_t, 18> kTcp{
      4, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 0xFF, 0xFF, kPseudoSum[0], kPseudoSum[1]};
  std::memcpy(frame.data() + 12, kIpv4.data(), kIpv4.size());
  std::memcpy(frame.data() + 12 + kIpv4.size(), kTcp.data(), kTcp.size());
  return frame;
}

/// Gives up unless a checksum_frame has arrived with correct checksums.
inline void check_sums(const std::uint8_t* frame) {
  const auto sum = [frame](std::uint32_t from, std::uint32_t end, std::uint32_t before) {
    for (std::uint32_t at = from; at < end; at += 2) before += std::uint32_t{frame[at]} << 8 | frame[at + 1];
    before = (before & 0xFFFF) + (before >> 16);
    return (before & 0xFFFF) + (before >> 16);
  };
  const std::uint32_t pseudo = std::uint32_t{kPseudoSum[0]} << 8 | kPseudoSum[1];
  if (sum(14, 34, 0) != 0xFFFF || sum(34, 34 + kTcpLength, pseudo) != 0xFFFF) give_up("a checksum is wrong");
}

/// Reads the time stamp counter. With QEMU's -icount shift=0 it is the number of executed instructions.
[[gnu::always_inline]] inline std::uint64_t stamp() noexcept {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
  return std::uint64_t{high} << 32 | low;
}

/// The cost of two successive stamps.
inline std::uint64_t stamp_cost() noexcept {
  std::uint64_t least = UINT64_MAX;
  for (int i = 0; i < 100; ++i) {
    const std::uint64_t start = stamp();
    const std::uint64_t cost = stamp() - start;
    if (cost < least) least = cost;
  }
  return least;
}

/// After this many empty polls the expected frames count as lost.
constexpr std::uint32_t kMaxEmptyPolls = 1'000'000;

template <class Side, unsigned B>
[[gnu::always_inline]] inline void send_all(Side& side, unsigned port, typename Side::template Packets<B>& packets) {
  side.tx(port, packets);
  for (std::uint32_t tries = 0; packets.size() != 0; side.tx(port, packets)) {
    if (++tries == kMaxEmptyPolls) give_up("frames were not sent: the ring stays full");
  }
}

template <class Side, unsigned B>
[[gnu::always_inline]] inline void receive_all(Side& side, unsigned port, typename Side::template Packets<B>& packets) {
  side.rx(port, packets);
  for (std::uint32_t tries = 0; packets.size() != B; side.rx(port, packets)) {
    if (++tries == kMaxEmptyPolls) give_up("frames were lost");
  }
}

struct Parts {
  std::uint64_t alloc = 0, fill = 0, tx = 0, rx = 0, free = 0;
};

/// Port 0 sends bursts. Port 1 receives each burst before the next one is built. With `kInParts` each step is measured
/// separately.
template <bool kInParts, class Side, unsigned B>
std::uint64_t lockstep(Side& side, std::uint64_t rounds, Parts& parts) {
  const Frame frame = broadcast_frame();
  typename Side::template Packets<B> packets;
  const std::uint64_t start = stamp();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t t0 = kInParts ? stamp() : 0;
    if (!side.alloc(packets)) give_up("the pool is exhausted");
    const std::uint64_t t1 = kInParts ? stamp() : 0;
    side.fill(packets, frame);
    const std::uint64_t t2 = kInParts ? stamp() : 0;
    send_all<Side, B>(side, 0, packets);
    const std::uint64_t t3 = kInParts ? stamp() : 0;
    receive_all<Side, B>(side, 1, packets);
    const std::uint64_t t4 = kInParts ? stamp() : 0;
    side.free(packets);
    if constexpr (kInParts) {
      const std::uint64_t t5 = stamp();
      parts.alloc += t1 - t0;
      parts.fill += t2 - t1;
      parts.tx += t3 - t2;
      parts.rx += t4 - t3;
      parts.free += t5 - t4;
    }
  }
  return stamp() - start;
}

/// Frames circulate: frames that port 1 sends arrive at port 0, and are forwarded to port 1 again. Their bytes are not
/// accessed.
template <class Side, unsigned B>
std::uint64_t forward(Side& side, std::uint64_t rounds) {
  typename Side::template Packets<B> packets;
  if (!side.alloc(packets)) give_up("the pool is exhausted");
  side.fill(packets, broadcast_frame());
  send_all<Side, B>(side, 1, packets);
  const std::uint64_t start = stamp();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    receive_all<Side, B>(side, 0, packets);
    send_all<Side, B>(side, 1, packets);
  }
  const std::uint64_t took = stamp() - start;
  receive_all<Side, B>(side, 0, packets);
  side.free(packets);
  return took;
}

/// As `forward`, but the card computes the checksums of IPv4 and TCP anew for each frame, and the frames are longer.
template <class Side, unsigned B>
std::uint64_t forward_checksums(Side& side, std::uint64_t rounds) {
  if constexpr (requires(typename Side::template Packets<B> & packets) { side.request_checksums(packets); }) {
    typename Side::template Packets<B> packets;
    if (!side.alloc(packets)) give_up("the pool is exhausted");
    side.fill(packets, checksum_frame());
    side.request_checksums(packets);
    send_all<Side, B>(side, 1, packets);
    const std::uint64_t start = stamp();
    for (std::uint64_t round = 0; round < rounds; ++round) {
      receive_all<Side, B>(side, 0, packets);
      side.request_checksums(packets);
      send_all<Side, B>(side, 1, packets);
    }
    const std::uint64_t took = stamp() - start;
    receive_all<Side, B>(side, 0, packets);
    side.check_sums(packets);
    side.free(packets);
    return took;
  } else {
    give_up("this side requests no checksums");
  }
}

/// Port 0 sends as fast as possible. No port receives.
template <class Side, unsigned B>
std::uint64_t txonly(Side& side, std::uint64_t rounds) {
  const Frame frame = broadcast_frame();
  typename Side::template Packets<B> packets;
  const std::uint64_t start = stamp();
  for (std::uint64_t round = 0; round < rounds; ++round) {
    if (!side.alloc(packets)) give_up("the pool is exhausted");
    side.fill(packets, frame);
    send_all<Side, B>(side, 0, packets);
  }
  return stamp() - start;
}

/// Polls a queue that receives no frames.
template <class Side, unsigned B>
std::uint64_t empty_poll(Side& side, std::uint64_t rounds) {
  typename Side::template Packets<B> packets;
  const std::uint64_t start = stamp();
  for (std::uint64_t round = 0; round < rounds; ++round) side.rx(0, packets);
  return stamp() - start;
}

}  // namespace baselines
