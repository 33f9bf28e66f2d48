// SPDX-License-Identifier: BSD-3-Clause
// The library's receive code with a card that writes arbitrary values to any descriptor at any time.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

#include "fuzz/require.hpp"
#include "fuzz/ring_fixture.hpp"

namespace pollux::test {
namespace {

namespace rx = hw::intel::rx;

// All bytes of a frame must lie in its buffers, and the lengths of its segments must add up.
void require_sound(Mbuf& frame) {
  std::uint32_t segments = 0;
  std::uint32_t bytes = 0;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    require(segment->length() != 0 && segment->length() <= RingFixture::kBufferBytes,
            "a segment's length fits its buffer");
    require(segment->data() >= segment->head() && segment->tail() <= segment->end(), "the data lie in the buffer");
    bytes += segment->length();
    ++segments;
  }
  require(segments == frame.segments(), "the segments are as many as the head says");
  require(bytes == frame.packet_length(), "the segments add up to the frame");
  require(frame.port() == QueueFixture::kPort, "the frame says which port it came from");
}

void poll(RingFixture& fixture, Held& held, std::uint32_t limit) {
  Burst<32> burst;
  const std::uint32_t count = fixture.rx().rx_burst(burst, limit);
  require(count == burst.size() && count <= limit, "a burst has as many frames as it says");
  for (Mbuf& frame : burst) require_sound(frame);
  while (MbufPtr frame = burst.pop()) held.push_back(std::move(frame));
}

void write(RingFixture& fixture, FuzzedDataProvider& input) {
  hw::intel::Descriptor& slot =
      fixture.rx_ring()[input.ConsumeIntegralInRange<std::size_t>(0, RingFixture::kSlots - 1)];
  switch (input.ConsumeIntegralInRange(0, 3)) {
    case 0:  // arbitrary
      slot.hi = input.ConsumeIntegral<std::uint64_t>();
      break;
    case 1: slot.lo = input.ConsumeIntegral<std::uint64_t>(); break;
    case 2:  // a plausible frame
      slot.hi = rx::kDone | rx::kEndOfPacket | input.ConsumeIntegralInRange<std::uint64_t>(0, 2100) << rx::kLengthShift;
      break;
    default:  // a part of a frame
      slot.hi = rx::kDone | input.ConsumeIntegralInRange<std::uint64_t>(1, 2048) << rx::kLengthShift;
  }
}

// The headers of a frame, or none, and what follows them or a part of it.
void write_split(RingFixture& fixture, FuzzedDataProvider& input) {
  hw::intel::Descriptor& slot =
      fixture.rx_ring()[input.ConsumeIntegralInRange<std::size_t>(0, RingFixture::kSlots - 1)];
  switch (input.ConsumeIntegralInRange(0, 3)) {
    case 0: slot.hi = input.ConsumeIntegral<std::uint64_t>(); break;
    case 1: slot.lo = input.ConsumeIntegral<std::uint64_t>(); break;
    default:
      slot = rx::written_back({.status = input.ConsumeBool() ? rx::kDone | rx::kEndOfPacket : rx::kDone,
                               .length = input.ConsumeIntegralInRange<std::uint16_t>(0, 2100),
                               .header_length = input.ConsumeIntegralInRange<std::uint16_t>(0, 160),
                               .split_header = input.ConsumeBool()});
  }
}

}  // namespace
}  // namespace pollux::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pollux::test;
  static RingFixture whole;
  static RingFixture split(RingFixture::Frames::split);
  // FuzzedDataProvider takes numbers from the end, so this byte shifts none.
  const bool splits = size != 0 && data[0] >= 0xA0 && data[0] < 0xC0;
  RingFixture& fixture = splits ? split : whole;
  FuzzedDataProvider input(data, size);
  Held held;
  fixture.start();
  while (input.remaining_bytes() != 0) {
    switch (input.ConsumeIntegralInRange(0, 15)) {
      case 0:
        fixture.release(held, held.size());
        fixture.stop();
        fixture.require_all_home();
        fixture.start();
        break;
      case 1:
      case 2: fixture.release(held, input.ConsumeIntegralInRange<std::size_t>(0, 32)); break;
      case 3:
      case 4:
      case 5:
      case 6: poll(fixture, held, input.ConsumeIntegralInRange<std::uint32_t>(0, 32)); break;
      default: splits ? write_split(fixture, input) : write(fixture, input);
    }
  }
  fixture.release(held, held.size());
  fixture.stop();
  fixture.require_all_home();
  fixture.require_no_misuse();
  return 0;
}
