// SPDX-License-Identifier: BSD-3-Clause
// GRO of consecutive TCP segments of one flow, whose checksums the card has found good.
#include <cstring>
#include <span>

#include "fixture.hpp"
#include "pollux/net/packet/byte_order.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/runtime/gro.hpp"
#include "workloads.hpp"

namespace pollux::bench {
namespace {

/// An IPv4 packet with a TCP segment of 1,400 bytes.
class Segments {
 public:
  void write_next(Mbuf& mbuf) {
    std::uint8_t* const frame = mbuf.append(kFrame);
    std::memset(frame, 0, kHeaders);
    packet::store16(frame + 12, 0x0800);
    std::uint8_t* const ip = frame + 14;
    ip[0] = 0x45;
    packet::store16(ip + 2, kFrame - 14);
    packet::store16(ip + 4, id_++);
    packet::store16(ip + 6, 0x4000);
    ip[8] = 64;
    ip[9] = 6;
    ip[15] = ip[19] = 1;
    packet::store16(ip + 10, packet::internet_checksum(std::span(ip, 20)));
    std::uint8_t* const tcp = ip + 20;
    packet::store16(tcp + 2, 80);
    packet::store32(tcp + 4, sequence_);
    tcp[12] = 0x80;
    tcp[13] = 16;
    packet::store32(tcp + 20, 0x0101080A);
    sequence_ += kFrame - kHeaders;
    // The write-back of the card: both checksums are checked and good.
    mbuf.set_rx_words(RxFormat::intel_advanced, 0, std::uint64_t{kFrame} << 32 | 1U << 5 | 1U << 6);
  }

 private:
  static constexpr std::uint16_t kHeaders = 14 + 20 + 32;
  static constexpr std::uint16_t kFrame = kHeaders + 1400;

  std::uint16_t id_ = 0;
  std::uint32_t sequence_ = 0;
};

class GroMerge final : public Workload {
 public:
  explicit GroMerge(const Setup& setup)
      : Workload(setup.burst, 1), context_(logging_options()), pool_(need(Mempool::create(context_, {}))) {}
  ~GroMerge() override { burst_.drop(measured_, cache_); }
  void prepare() override {
    if (burst_.size() > (operations() + kMost - 1) / kMost) give_up("segments were not merged");
    burst_.drop(measured_, cache_);
    if (!burst_.fill(cache_, operations())) give_up("the pool is too small");
    for (Mbuf& mbuf : burst_) segments_.write_next(mbuf);
  }
  void run() override { gro_.merge(burst_); }

 private:
  /// Segments that a merged frame of at most 65,535 bytes has room for.
  static constexpr std::uint32_t kMost = (65535 - 52) / 1400;

  Context context_;
  Mempool pool_;
  MempoolCache cache_{pool_};
  DropCounter measured_{"measured"};
  Segments segments_;
  Gro gro_;
  Burst<Setup::kMaxBurst> burst_;
};

}  // namespace

std::unique_ptr<Workload> gro_merge(const Setup& setup) { return std::make_unique<GroMerge>(setup); }

}  // namespace pollux::bench
