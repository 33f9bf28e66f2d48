// SPDX-License-Identifier: BSD-3-Clause
#include "fuzz/ring_fixture.hpp"

#include <utility>

#include "fuzz/require.hpp"

namespace pollux::test {

RingFixture::RingFixture(Frames frames)
    : queues_({.rx_ring = kSlots,
               .tx_ring = kSlots,
               .tunnels = true,
               .cache = 64,
               .pool = {.count = kMbufs, .name = "fuzzed"},
               .headers = frames == Frames::split
                              ? std::optional<MempoolOptions>(
                                    {.count = kHeaderMbufs, .data_room = kHeaderBytes, .name = "fuzzed headers"})
                              : std::nullopt}) {}

void RingFixture::start() {
  queues_.receiver->stop();
  queues_.transmitter->stop();
  require(queues_.rx.fill().has_value(), "a full pool fills the ring");
  queues_.tx.clear();
  queues_.rx.open();
  queues_.tx.open();
}

void RingFixture::stop() {
  constexpr auto kLimit = std::chrono::milliseconds(10);
  require(queues_.rx.close(queues_.clock, kLimit).has_value(), "the receive queue closes");
  require(queues_.tx.close(queues_.clock, kLimit).has_value(), "the transmit queue closes");
  queues_.drain();
}

void RingFixture::release(Held& held, std::size_t count) {
  for (; count != 0 && !held.empty(); --count) {
    // A cache frees mbufs of its own pool.
    if (!queues_.headers) cache().free(std::move(held.back()));
    held.pop_back();
  }
}

void RingFixture::require_all_home() const {
  require(queues_.in_use() == 0, "every mbuf is free");
  require(!queues_.headers || queues_.headers->stats().in_use() == 0, "every mbuf for headers is free");
}

void RingFixture::require_no_misuse() const {
  const std::string complaints = queues_.errors();
  require(complaints.empty(), complaints);
}

std::span<hw::intel::Descriptor> RingFixture::ring(std::uint32_t first) {
  std::byte* const start = queues_.rings.segments()[0].address;
  return {reinterpret_cast<hw::intel::Descriptor*>(start) + first, kSlots};
}

}  // namespace pollux::test
