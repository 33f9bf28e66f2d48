// SPDX-License-Identifier: BSD-3-Clause
// The library's transmit code with any frames that an application can make, and a card that reports arbitrary progress.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>

#include "fuzz/require.hpp"
#include "fuzz/ring_fixture.hpp"

namespace pollux::test {
namespace {

namespace tx = hw::intel::tx;

MbufPtr make_segment(RingFixture& fixture, FuzzedDataProvider& input) {
  MbufPtr segment = fixture.cache().allocate();
  if (segment == nullptr) return segment;
  if (input.ConsumeBool()) static_cast<void>(segment->reserve(input.ConsumeIntegralInRange<std::uint32_t>(0, 64)));
  const auto bytes = input.ConsumeBool() ? input.ConsumeIntegralInRange<std::uint32_t>(0, 70)
                                         : input.ConsumeIntegralInRange<std::uint32_t>(0, 3000);
  static_cast<void>(segment->append(bytes));
  return segment;
}

/// Headers that may be in a frame, and the request that fits them.
struct Headers {
  std::uint16_t ether_type;
  std::uint8_t version;
  std::uint8_t protocol;
  std::uint32_t flags;
  std::uint16_t l3;
  std::uint16_t l4;
};
constexpr std::array kHeaders{
    Headers{0x0800, 0x45, 6, TxOffload::ipv4_checksum | TxOffload::tcp_checksum, 20, 20},
    Headers{0x0800, 0x46, 17, TxOffload::ipv4_checksum | TxOffload::udp_checksum, 24, 8},
    Headers{0x0800, 0x45, 132, TxOffload::ipv4_checksum | TxOffload::sctp_checksum, 20, 12},
    Headers{0x0800, 0x45, 6, TxOffload::tcp_segmentation, 20, 20},
    Headers{0x86DD, 0x60, 6, TxOffload::tcp_checksum, 40, 20},
    Headers{0x86DD, 0x60, 17, TxOffload::udp_segmentation, 40, 8},
};

// Writes headers into the frame if there is room, and requests what fits them, or nearly.
void request_for_headers(Mbuf& frame, FuzzedDataProvider& input) {
  const Headers& headers = input.PickValueInArray(kHeaders);
  constexpr std::uint16_t kEthernet = 14;
  TxOffload request{.flags = headers.flags,
                    .l2 = kEthernet,
                    .l3 = headers.l3,
                    .l4 = headers.l4,
                    .segment_size = input.PickValueInArray<std::uint16_t>({0, 1, 100, 1460, 65535})};
  const auto put16 = [&frame](std::size_t at, std::size_t value) {
    frame.data()[at] = static_cast<std::uint8_t>(value >> 8);
    frame.data()[at + 1] = static_cast<std::uint8_t>(value);
  };
  if (frame.length() >= request.l4_offset() + headers.l4 && !frame.is_shared()) {
    std::fill_n(frame.data(), request.l4_offset() + headers.l4, std::uint8_t{0});
    const bool is_ipv4 = headers.ether_type == 0x0800;
    put16(12, headers.ether_type);
    frame.data()[kEthernet] = headers.version;
    put16(kEthernet + (is_ipv4 ? 2U : 4U), frame.packet_length() - kEthernet - (is_ipv4 ? 0U : 40U));
    frame.data()[kEthernet + (is_ipv4 ? 9U : 6U)] = headers.protocol;
    if (headers.protocol == 6) frame.data()[request.l4_offset() + 12] = 0x50;
  }
  std::uint16_t* const lengths[] = {&request.l2, &request.l3, &request.l4, &request.outer_l2};
  if (input.ConsumeIntegralInRange(0, 7) == 0)
    *input.PickValueInArray(lengths) = input.ConsumeIntegralInRange<std::uint16_t>(0, 600);
  if (input.ConsumeIntegralInRange(0, 7) == 0) request.flags |= TxOffload::insert_vlan;
  frame.set_tx_offload(request);
}

// A TCP packet in VXLAN over IPv4, which may have a byte or a length that does not fit.
void request_for_tunnel(Mbuf& frame, FuzzedDataProvider& input) {
  constexpr std::uint16_t kVxlan = 30;
  constexpr std::size_t kTunnelHeaders = 104;
  TxOffload request{.flags = TxOffload::tcp_segmentation,
                    .l2 = kVxlan,
                    .l3 = 20,
                    .outer_l2 = 14,
                    .outer_l3 = 20,
                    .l4 = 20,
                    .segment_size = input.ConsumeIntegralInRange<std::uint16_t>(0, 200)};
  if (frame.length() >= kTunnelHeaders && !frame.is_shared()) {
    std::uint8_t* const data = frame.data();
    std::fill_n(data, kTunnelHeaders, std::uint8_t{0});
    data[12] = 0x08;
    data[14] = data[64] = 0x45;
    data[14 + 9] = 17;
    data[64 + 9] = 6;
    data[84 + 12] = 0x50;
    data[34 + 6] = input.ConsumeIntegral<std::uint8_t>();
    if (input.ConsumeBool())
      data[input.ConsumeIntegralInRange<std::size_t>(0, kTunnelHeaders - 1)] = input.ConsumeIntegral<std::uint8_t>();
    const std::size_t payload = frame.packet_length() - kTunnelHeaders;
    if (input.ConsumeBool() && payload != 0 && payload <= 1000)
      request.segment_size = static_cast<std::uint16_t>(payload);
  }
  std::uint16_t* const lengths[] = {&request.l2, &request.l3, &request.l4, &request.outer_l2, &request.outer_l3};
  if (input.ConsumeIntegralInRange(0, 3) == 0)
    *input.PickValueInArray(lengths) = input.ConsumeIntegralInRange<std::uint16_t>(0, 600);
  frame.set_tx_offload(request);
}

using Ring = std::array<hw::intel::Descriptor, RingFixture::kSlots>;

Ring copy_of(RingFixture& fixture) {
  Ring ring;
  std::copy(fixture.tx_ring().begin(), fixture.tx_ring().end(), ring.begin());
  return ring;
}

// The frames for which the driver requested a checksum since `before` are at least as long as the shortest headers.
void require_headers(RingFixture& fixture, const Ring& before) {
  constexpr std::uint64_t kInserts = tx::kInsertIpChecksum | tx::kInsertL4Checksum;
  const Ring now = copy_of(fixture);
  for (std::size_t i = 0; i < now.size(); ++i) {
    const std::uint64_t command = now[i].hi;
    if (now[i] == before[i] || tx::type(command) != tx::kTypeData || (command & tx::kSegment) != 0) continue;
    if ((command & kInserts) == 0) continue;
    require(tx::payload_length(command) >= 14 + 20, "a frame with a checksum to insert has its headers");
  }
}

MbufPtr make_frame(RingFixture& fixture, FuzzedDataProvider& input, Held& held) {
  MbufPtr frame = make_segment(fixture, input);
  if (frame == nullptr) return frame;
  const auto more = input.ConsumeBool() ? 0U : input.ConsumeIntegralInRange<std::uint32_t>(1, 24);
  for (std::uint32_t i = 0; i < more; ++i) {
    MbufPtr segment = make_segment(fixture, input);
    if (segment == nullptr) break;
    require(frame->chain(segment), "a chain of under 255 segments grows");
  }
  const auto kind = input.ConsumeIntegralInRange(0, 9);
  if (kind < 3) {
    request_for_headers(*frame, input);
  } else if (kind == 3) {
    request_for_tunnel(*frame, input);
  } else if (kind == 4) {
    frame->set_tx_offload({.flags = input.ConsumeIntegral<std::uint16_t>(),
                           .l2 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .l3 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .outer_l3 = input.ConsumeBool() ? std::uint16_t{0} : input.ConsumeIntegral<std::uint16_t>(),
                           .l4 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .segment_size = input.ConsumeIntegral<std::uint16_t>()});
  }
  if (input.ConsumeProbability<float>() < 0.2F) {
    if (MbufPtr clone = frame->clone(fixture.cache())) held.push_back(std::move(clone));
  }
  return frame;
}

std::uint64_t refused(const TxDrops& drops) {
  return drops.too_short + drops.too_long + drops.too_many_segments + drops.bad_segment + drops.unreachable +
         drops.unsupported_offload + drops.bad_offload + drops.unfit_headers + drops.shared_checksum +
         drops.no_headroom + drops.stopped;
}

void send(RingFixture& fixture, FuzzedDataProvider& input, Held& held) {
  Burst<32> burst;
  const auto count = input.ConsumeIntegralInRange<std::uint32_t>(0, 32);
  for (std::uint32_t i = 0; i < count; ++i) {
    MbufPtr frame = make_frame(fixture, input, held);
    if (frame == nullptr) break;
    require(burst.push(frame), "a burst has room");
  }
  const std::uint32_t before = burst.size();
  const Ring ring = copy_of(fixture);
  const std::uint32_t taken = fixture.tx().tx_burst(burst);
  require(taken + burst.size() == before, "what was not taken stays in the burst");
  require_headers(fixture, ring);
  require(fixture.tx().in_flight() < RingFixture::kSlots, "the ring never fills to the last slot");
  while (MbufPtr frame = burst.pop()) held.push_back(std::move(frame));
}

// The card writes back a descriptor that requested it, or another one.
void report(RingFixture& fixture, FuzzedDataProvider& input) {
  if (input.ConsumeBool()) {
    for (hw::intel::Descriptor& slot : fixture.tx_ring()) {
      if ((slot.hi & tx::kReportStatus) != 0) slot.hi |= tx::kDone;
    }
    return;
  }
  hw::intel::Descriptor& slot =
      fixture.tx_ring()[input.ConsumeIntegralInRange<std::size_t>(0, RingFixture::kSlots - 1)];
  slot.hi = input.ConsumeIntegral<std::uint64_t>();
}

}  // namespace
}  // namespace pollux::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux::test;
  static RingFixture fixture;
  FuzzedDataProvider input(data, size);
  Held held;
  fixture.start();
  const std::uint64_t refused_before = refused(fixture.tx().drops());
  const std::uint64_t packets_before = fixture.tx().packets();
  while (input.remaining_bytes() != 0) {
    switch (input.ConsumeIntegralInRange(0, 9)) {
      case 0:
        fixture.release(held, held.size());
        fixture.stop();
        fixture.require_all_home();
        fixture.start();
        break;
      case 1:
      case 2: fixture.release(held, input.ConsumeIntegralInRange<std::size_t>(0, 32)); break;
      case 3: static_cast<void>(fixture.tx().tx_done_cleanup()); break;
      case 4:
      case 5: report(fixture, input); break;
      default: send(fixture, input, held);
    }
  }
  fixture.release(held, held.size());
  fixture.stop();
  fixture.require_all_home();
  fixture.require_no_misuse();
  require(refused(fixture.tx().drops()) >= refused_before && fixture.tx().packets() >= packets_before,
          "counters only grow");
  return 0;
}
