// SPDX-License-Identifier: BSD-3-Clause
// Headers of received frames in mbufs of their own.
#include <cstdint>
#include <string>
#include <vector>

#include "conformance/fixture.hpp"
#include "support/split_frames.hpp"

namespace pollux::conformance {
namespace {

class Headers : public Conformance {};

// [I-HDRSPLIT] QEMU's card splits more frames than the silicon, at the same places.
CONFORMANCE_TEST_WHERE(Headers, AreSplitFromFrames, traits.card_receive) {
  const Mempool headers = Mempool::create(*context_, {.count = 512, .data_room = 256, .name = "headers"}).value();
  pollux::Settings wanted = config();
  wanted.mtu = 4000;
  wanted.rx[0].header_pool = headers;
  start_both(wanted, wanted);
  EXPECT_EQ(right().config().rx.at(0).header_bytes, 256U);
  std::vector<test::SplittableFrame> frames = test::splittable_frames();
  frames.push_back({"jumbo", test::tcp_segment(3000), 54});
  for (std::size_t i = 0; i < frames.size(); ++i) {
    SCOPED_TRACE(frames[i].name);
    send(left(), {frames[i].bytes});
    Burst<1> burst;
    for (int tries = 0; tries < 2000 && right().rx(0).rx_burst(burst) == 0; ++tries) pass_time();
    ASSERT_EQ(burst.size(), 1U);
    const Mbuf& head = burst[0];
    EXPECT_EQ(content(head), frames[i].bytes);
    // [I-OVERRUN] By this the driver tells QEMU's card.
    const bool is_qemus = right().info().missed_count == MissedCount::lower_bound;
    if (is_qemus && !frames[i].on_qemu) continue;
    const std::size_t first = head.next() == nullptr ? head.packet_length() : head.length();
    EXPECT_EQ(first, frames[i].header != 0 ? frames[i].header : frames[i].bytes.size());
    EXPECT_EQ(head.tailroom() + head.length() < 1024, frames[i].header != 0) << "the pool of the first mbuf";
  }
  EXPECT_EQ(right().stats().rx_dropped, 0U);
  stop_both();
  EXPECT_EQ(headers.stats().in_use(), 0U);
}

}  // namespace
}  // namespace pollux::conformance
