// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "pollux/net/checksum_offload.hpp"
#include "pollux/net/packet/builder.hpp"
#include "unit/intel_queues/queue_fixture.hpp"
#include "unit/intel_queues/strict_card.hpp"

namespace pollux::test {

inline constexpr std::uint32_t kIpv4 = TxOffload::ipv4_checksum;
inline constexpr TxOffload kTcp4{.flags = kIpv4 | TxOffload::tcp_checksum, .l2 = 14, .l3 = 20};
inline constexpr TxOffload kUdp6{.flags = TxOffload::udp_checksum, .l2 = 14, .l3 = 40};
inline constexpr std::uint64_t kBoth = hw::intel::tx::kInsertIpChecksum | hw::intel::tx::kInsertL4Checksum;
inline constexpr std::uint64_t kTcp4Kind = hw::intel::tx::kContextTcp | hw::intel::tx::kContextIpv4;

/// Sends packets with offload requests on a strict card.
class TxOffloadTest : public testing::Test {
 protected:
  void use(const CardFixtureOptions& options = {}) {
    fixture_.emplace(options);
    fixture_->start();
    in_ring_ = fixture_->in_use();
  }
  /// A packet in as many mbufs as `sizes` has elements, and one more for the rest.
  [[nodiscard]] MbufPtr make(const std::vector<std::uint8_t>& bytes, const std::vector<std::uint32_t>& sizes = {}) {
    MbufPtr frame = fixture_->cache_handle->allocate();
    std::size_t at = 0;
    const auto fill = [&](Mbuf& mbuf, std::size_t count) {
      std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), count,
                  mbuf.append(static_cast<std::uint32_t>(count)));
      at += count;
    };
    for (const std::uint32_t size : sizes) {
      if (at == 0) {
        fill(*frame, size);
        continue;
      }
      MbufPtr more = fixture_->cache_handle->allocate();
      fill(*more, size);
      EXPECT_TRUE(frame->chain(more));
    }
    if (sizes.empty()) {
      fill(*frame, bytes.size());
    } else if (at < bytes.size()) {
      MbufPtr more = fixture_->cache_handle->allocate();
      fill(*more, bytes.size() - at);
      EXPECT_TRUE(frame->chain(more));
    }
    return frame;
  }
  template <class Build>
  [[nodiscard]] static std::vector<std::uint8_t> built(Build build) {
    std::array<std::uint8_t, 512> memory{};
    packet::Builder builder(memory);
    build(builder.ethernet({}));
    const auto frame = builder.finish(0);
    EXPECT_TRUE(frame);
    return {frame->begin(), frame->end()};
  }
  [[nodiscard]] static std::vector<std::uint8_t> tcp4(std::size_t payload = 30) {
    const std::vector<std::uint8_t> data(payload, 0x5A);
    return built([&](packet::Builder& to) { to.ipv4({.source = {10, 0, 0, 1}}).tcp({}).payload(data); });
  }
  [[nodiscard]] static std::vector<std::uint8_t> udp6() {
    const std::vector<std::uint8_t> data(30, 0x5A);
    return built([&](packet::Builder& to) { to.ipv6({}).udp({}).payload(data); });
  }
  /// Requests checksums and sends the frame. Returns whether the queue took it.
  bool send(MbufPtr mbuf, const TxOffload& request) {
    EXPECT_TRUE(request_checksums(*mbuf, request));
    return send_prepared(std::move(mbuf));
  }
  /// The card must get the frame as it is now, but for the fields that the driver clears.
  bool send_prepared(MbufPtr mbuf, bool sent = true) {
    const TxOffload request = mbuf->tx_offload();
    std::vector<std::uint8_t> bytes = content(*mbuf);
    if (!sent) return send_and_expect(std::move(mbuf), {});
    if ((request.flags & kIpv4) != 0) std::fill_n(bytes.begin() + request.l2 + 10, 2, std::uint8_t{0});
    if ((request.flags & TxOffload::sctp_checksum) != 0)
      std::fill_n(bytes.begin() + request.l4_offset() + 8, 4, std::uint8_t{0});
    return send_and_expect(std::move(mbuf), bytes);
  }
  bool send_and_expect(MbufPtr mbuf, std::vector<std::uint8_t> expected) {
    Burst<1> burst;
    EXPECT_TRUE(burst.push(mbuf));
    const bool taken = fixture_->tx.tx_burst(burst) == 1;
    if (taken && !expected.empty()) fixture_->transmitter->expect(std::move(expected));
    fixture_->look();
    burst.drop(left_);
    return taken;
  }
  [[nodiscard]] static std::vector<std::uint8_t> content(const Mbuf& mbuf) {
    std::vector<std::uint8_t> bytes(mbuf.packet_length());
    EXPECT_EQ(mbuf.copy_out(0, bytes), bytes.size());
    return bytes;
  }
  void process_all() { fixture_->transmitter->process(fixture_->options.tx_ring); }
  [[nodiscard]] const StrictTransmitter& card() const { return *fixture_->transmitter; }
  [[nodiscard]] TxDrops drops() const { return fixture_->tx.drops(); }
  void expect_all_freed() {
    process_all();
    static_cast<void>(fixture_->tx.tx_done_cleanup());
    EXPECT_EQ(fixture_->tx.in_flight(), 0u);
    EXPECT_EQ(fixture_->in_use(), in_ring_);
    EXPECT_EQ(fixture_->errors(), "");
  }

  std::optional<QueueFixture> fixture_;
  std::uint32_t in_ring_ = 0;
  DropCounter left_{"left in the burst"};
};

}  // namespace pollux::test
