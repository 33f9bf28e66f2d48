// SPDX-License-Identifier: BSD-3-Clause
// GRO of consecutive TCP segments of one flow, whose checksums the card has found good or has not looked at.
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
  /// `checked`: the card has found the checksums good. Otherwise software has to, and they are right.
  explicit Segments(bool checked) : checked_(checked) {}

  void write_next(Mbuf& mbuf) {
    std::uint8_t* const frame = mbuf.append(kFrame);
    std::memset(frame, 0, checked_ ? kHeaders : kFrame);
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
    if (!checked_) write_checksum(tcp);
    mbuf.set_rx_words(RxFormat::intel_advanced, 0, std::uint64_t{kFrame} << 32 | (checked_ ? kBothChecked : 0));
  }

 private:
  /// The bits of the card's write-back that say that both checksums are checked. They are good, as no bit denies it.
  static constexpr std::uint64_t kBothChecked = 1U << 5 | 1U << 6;

  static void write_checksum(std::uint8_t* tcp) {
    const std::uint32_t bytes = kFrame - 34;
    packet::InternetSum sum = packet::pseudo_header(packet::Ipv4Address{0, 0, 0, 1}, {0, 0, 0, 1}, 6, bytes);
    sum.add(std::span<const std::uint8_t>(tcp, bytes));
    packet::store16(tcp + 16, sum.checksum());
  }

  static constexpr std::uint16_t kHeaders = 14 + 20 + 32;
  static constexpr std::uint16_t kFrame = kHeaders + 1400;

  bool checked_;
  std::uint16_t id_ = 0;
  std::uint32_t sequence_ = 0;
};

class GroMerge final : public Workload {
 public:
  GroMerge(const Setup& setup, bool checked)
      : Workload(setup.burst, 1),
        context_(logging_options()),
        pool_(need(Mempool::create(context_, {}))),
        segments_(checked) {}
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

std::unique_ptr<Workload> gro_merge(const Setup& setup) { return std::make_unique<GroMerge>(setup, true); }
std::unique_ptr<Workload> gro_merge_checksums(const Setup& setup) { return std::make_unique<GroMerge>(setup, false); }

}  // namespace pollux::bench
