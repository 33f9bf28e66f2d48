// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <numeric>

#include "unit/intel_queues/traffic.hpp"

namespace pollux::test {

void Traffic::check_drops() {
  const auto expected = [this](TxOutcome outcome) { return expected_tx_[static_cast<std::size_t>(outcome)]; };
  const TxDrops drops = fixture_.tx.drops();
  ASSERT_EQ(drops.too_short, expected(TxOutcome::too_short));
  ASSERT_EQ(drops.too_long, expected(TxOutcome::too_long));
  ASSERT_EQ(drops.too_many_segments, expected(TxOutcome::too_many_segments));
  ASSERT_EQ(drops.bad_segment, expected(TxOutcome::bad_segment));
  ASSERT_EQ(drops.unreachable, expected(TxOutcome::unreachable));
  ASSERT_EQ(drops.unsupported_offload, expected(TxOutcome::unsupported_offload));
  // Every frame is returned, counted as a drop, or not polled yet.
  ASSERT_LE(delivered_ + fixture_.rx.drops().sum(), received_ + (source_.frame_begun() ? 1 : 0));
}

void Traffic::stop_and_start() {
  const std::uint64_t reported_before = fixture_.transmitter->reported();
  const TxDrops tx_before = fixture_.tx.drops();
  fixture_.close();
  Burst<32> nothing;
  ASSERT_EQ(fixture_.rx.rx_burst(nothing), 0u) << "a stopped queue returns nothing";
  fixture_.drain();
  ASSERT_EQ(fixture_.tx.in_flight(), 0u);
  ASSERT_EQ(reported_before, fixture_.transmitter->reported());
  // Each frame taken is counted once: dropped, sent and reported, or stopped.
  const TxDrops tx = fixture_.tx.drops();
  ASSERT_EQ(taken_, tx.rejected() + fixture_.transmitter->reported() + tx.stopped);
  ASSERT_GE(tx.stopped, tx_before.stopped);
  // An incomplete frame may already have been dropped.
  const std::uint64_t rx = delivered_ + fixture_.rx.drops().sum();
  ASSERT_GE(rx, received_);
  ASSERT_LE(rx, received_ + (source_.frame_begun() ? 1 : 0));
  received_ = rx;
  sent_ = fixture_.transmitter->reported();
  source_.forget();
  arrived_.clear();
  fixture_.start();
}

// Sends everything. One poll then reclaims every sent buffer.
void Traffic::finish_traffic() {
  const auto unfinished = [this] { return source_.frame_begun() || fixture_.receiver->write_back_begun(); };
  for (int i = 0; i < 10'000 && (!out_.empty() || !arrived_.empty() || unfinished()); ++i) {
    const std::size_t before = arrived_.size();
    if (unfinished()) source_.deliver(*fixture_.receiver, 1, arrived_);
    received_ += arrived_.size() - before;
    receive();
    transmit();
    fixture_.transmitter->process(options_.fixture.tx_ring);
    std::erase_if(arrived_, [&](const WireFrame& frame) {
      const bool past = fixture_.rx.packets() + fixture_.rx.drops().sum() == received_;
      if (past) ++expected_rx_[static_cast<std::size_t>(frame.outcome)];
      return past;
    });
  }
  ASSERT_TRUE(out_.empty());
  ASSERT_TRUE(arrived_.empty());
  fixture_.transmitter->process(options_.fixture.tx_ring);
  static_cast<void>(fixture_.tx.tx_done_cleanup());
  ASSERT_EQ(fixture_.tx.in_flight(), 0u);
  ASSERT_EQ(fixture_.transmitter->pending(), 0u);
  ASSERT_EQ(fixture_.transmitter->expected(), 0u);
  held_.clear();
  ASSERT_EQ(externals_in_use_, 0);
  ASSERT_EQ(other_pool_.stats().in_use(), 0u);
  ASSERT_EQ(fixture_.in_use(), options_.fixture.rx_ring) << "every buffer that is not in the ring is free";
}

// With all buffers free again, frames are received without a drop, even if the pool was exhausted before.
void Traffic::recover() {
  const std::uint64_t dropped = fixture_.rx.drops().sum();
  for (int i = 0; i < 200; ++i) {
    Burst<512> in;
    for (int polls = 0; polls < 3 && fixture_.receiver->owned() < options_.fixture.rx_ring / 2; ++polls) {
      static_cast<void>(fixture_.rx.rx_burst(in, 1));
      fixture_.look();
    }
    ASSERT_TRUE(in.empty());
    ASSERT_GE(fixture_.receiver->owned(), options_.fixture.rx_ring / 2) << "the queue withholds buffers from the card";
    const std::size_t segments = 9500 / (fixture_.pool->buffer_size() / 1024 * 1024) + 1;
    if (fixture_.receiver->owned() <= segments) break;  // a frame needs more than a ring this small holds
    source_.deliver_good(*fixture_.receiver, arrived_);
    ++received_;
    ASSERT_EQ(fixture_.rx.rx_burst(in, 1), 1u);
    fixture_.look();
    check_received(in[0]);
    ++delivered_;
  }
  ASSERT_EQ(fixture_.rx.drops().sum(), dropped);
}

void Traffic::finish() {
  check_drops();
  const RxDrops rx = fixture_.rx.drops();
  ASSERT_EQ(received_, delivered_ + rx.sum());
  if (rx.pool_empty == 0 && !options_.stops) {
    ASSERT_EQ(rx.error, expected_rx_[static_cast<std::size_t>(RxOutcome::error)]);
    ASSERT_EQ(rx.bad_length, expected_rx_[static_cast<std::size_t>(RxOutcome::bad_length)]);
    ASSERT_EQ(rx.too_many_segments, expected_rx_[static_cast<std::size_t>(RxOutcome::too_many_segments)]);
  }
  fixture_.close();
  fixture_.drain();
  sent_ = fixture_.transmitter->reported();
  const TxDrops tx = fixture_.tx.drops();
  ASSERT_EQ(taken_, tx.rejected() + sent_ + tx.stopped);
  ASSERT_EQ(fixture_.in_use(), 0u);
  ASSERT_EQ(fixture_.errors(), "");
}

}  // namespace pollux::test
