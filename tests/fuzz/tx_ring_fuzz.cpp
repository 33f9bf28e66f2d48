// SPDX-License-Identifier: BSD-3-Clause
// The library's transmit code with any frames that an application can make, and a card that reports arbitrary progress.
#include <fuzzer/FuzzedDataProvider.h>

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

MbufPtr make_frame(RingFixture& fixture, FuzzedDataProvider& input, Held& held) {
  MbufPtr frame = make_segment(fixture, input);
  if (frame == nullptr) return frame;
  const auto more = input.ConsumeBool() ? 0U : input.ConsumeIntegralInRange<std::uint32_t>(1, 24);
  for (std::uint32_t i = 0; i < more; ++i) {
    MbufPtr segment = make_segment(fixture, input);
    if (segment == nullptr) break;
    require(frame->chain(segment), "a chain of under 255 segments grows");
  }
  if (input.ConsumeProbability<float>() < 0.1F) {
    frame->set_tx_offload({.flags = input.ConsumeIntegral<std::uint16_t>(),
                           .l2 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .l3 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .l4 = input.ConsumeIntegralInRange<std::uint16_t>(0, 80),
                           .outer_l3 = input.ConsumeBool() ? std::uint16_t{0} : input.ConsumeIntegral<std::uint16_t>(),
                           .segment_size = input.ConsumeIntegral<std::uint16_t>()});
  }
  if (input.ConsumeProbability<float>() < 0.2F) {
    if (MbufPtr clone = frame->clone(fixture.cache())) held.push_back(std::move(clone));
  }
  return frame;
}

std::uint64_t refused(const drivers::intel::TxDrops& drops) {
  return drops.too_short + drops.too_long + drops.too_many_segments + drops.bad_segment + drops.unreachable +
         drops.unsupported_offload + drops.bad_offload + drops.shared_checksum + drops.no_headroom + drops.stopped;
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
  const std::uint32_t taken = fixture.tx().tx_burst(burst);
  require(taken + burst.size() == before, "what was not taken stays in the burst");
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
