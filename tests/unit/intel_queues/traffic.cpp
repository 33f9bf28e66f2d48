// SPDX-License-Identifier: BSD-3-Clause
#include "unit/intel_queues/traffic.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

namespace pollux::test {

Traffic::Traffic(const TrafficOptions& options)
    : options_(options),
      random_(options.seed),
      fixture_(options.fixture),
      other_pool_(fixture_.fixture.pool({.count = 600, .name = "other"})),
      other_cache_(other_pool_, 64),
      external_memory_(
          std::move(fixture_.fixture.context().allocate({.size = 1 << 16, .purpose = "external"}).value())),
      source_(random_, {.buffer_bytes = (fixture_.pool->buffer_size() - fixture_.pool->data_offset()) / 1024 * 1024,
                        .hostile = options.hostile}) {
  if (fixture_.pool_handle) second_cache_.emplace(*fixture_.pool_handle, 64);
}

void Traffic::run() {
  fixture_.start();
  while (received_ < options_.frames) {
    round();
    if (testing::Test::HasFatalFailure() || testing::Test::HasNonfatalFailure()) return;
    ASSERT_EQ(fixture_.errors(), "");
  }
  finish_traffic();
  recover();
  finish();
}

void Traffic::round() {
  const std::uint32_t slots = below(3) == 0 ? below(4) : below(options_.fixture.rx_ring);
  const std::size_t before = arrived_.size();
  source_.deliver(*fixture_.receiver, slots, arrived_);
  received_ += arrived_.size() - before;
  receive();
  if (below(3) == 0) make_frame();
  if (below(3) != 0) transmit();
  fixture_.look();
  fixture_.transmitter->process(below(options_.fixture.tx_ring));
  if (below(8) == 0) release_some();
  if (below(32) == 0) static_cast<void>(fixture_.tx.tx_done_cleanup());
  if (options_.switch_caches && below(40) == 0) switch_caches();
  if (options_.stops && below(200) == 0) stop_and_start();
  check_drops();
  note_rings();
}

void Traffic::receive() {
  Burst<512> in;
  const std::uint32_t limit = below(2) == 0 ? options_.burst_limit : 1 + below(options_.burst_limit);
  const std::uint32_t count = fixture_.rx.rx_burst(in, limit);
  ASSERT_EQ(count, in.size());
  ASSERT_LE(count, limit);
  fixture_.look();
  note(count);
  for (Mbuf& mbuf : in) note(mbuf);
  for (Mbuf& mbuf : in) check_received(mbuf);
  delivered_ += count;
  ASSERT_EQ(fixture_.rx.packets(), delivered_);
  std::vector<MbufPtr> frames(count);
  for (std::uint32_t i = count; i-- != 0;) frames[i] = in.pop();
  for (MbufPtr& frame : frames) use(std::move(frame));
}

void Traffic::note(Mbuf& frame) {
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    note(segment->rx_word(0));
    note(segment->rx_word(1));
    note(segment->data_iova());
    note(MbufAccess::word(*segment));
  }
}

void Traffic::note_rings() {
  const auto* const words = reinterpret_cast<const std::uint64_t*>(fixture_.rings.segments().front().address);
  const std::size_t descriptors = std::size_t{options_.fixture.rx_ring} + options_.fixture.tx_ring;
  for (std::size_t i = 0; i < 2 * descriptors; ++i) note(words[i]);
  note(fixture_.rx.packets());
  note(fixture_.tx.packets());
  note(fixture_.tx.in_flight());
  note(fixture_.in_use());
}

// Before the frame, bad frames may have been dropped, and good ones for which there was no buffer.
void Traffic::check_received(Mbuf& mbuf) {
  const std::vector<std::uint8_t> bytes = bytes_of(mbuf);
  // The low word distinguishes frames of one byte.
  const auto matches = [&](const WireFrame& frame) {
    return frame.outcome == RxOutcome::good && frame.bytes == bytes && frame.pieces.back().back.lo == mbuf.rx_word(0);
  };
  while (!arrived_.empty() && !matches(arrived_.front())) {
    ++expected_rx_[static_cast<std::size_t>(arrived_.front().outcome)];
    arrived_.pop_front();
  }
  ASSERT_FALSE(arrived_.empty()) << "the frame never arrived, or with other contents";
  check_good(mbuf, arrived_.front());
  arrived_.pop_front();
}

void Traffic::check_good(Mbuf& mbuf, const WireFrame& frame) {
  ASSERT_EQ(mbuf.segments(), frame.pieces.size());
  ASSERT_EQ(mbuf.packet_length(), frame.bytes.size());
  ASSERT_EQ(mbuf.rx_format(), RxFormat::intel_advanced);
  ASSERT_EQ(mbuf.port(), QueueFixture::kPort);
  ASSERT_EQ(mbuf.rx_word(1), frame.pieces.back().back.hi);
  if (frame.pieces.size() == 1) {
    ASSERT_EQ(MbufAccess::special(mbuf), 0) << "a direct, single-segment mbuf";
  }
  std::size_t piece = 0;
  for (Mbuf* segment = &mbuf; segment != nullptr; segment = segment->next(), ++piece) {
    ASSERT_EQ(segment->length(), frame.pieces[piece].to - frame.pieces[piece].from);
    ASSERT_EQ(segment->headroom(), fixture_.pool->data_offset());
    ASSERT_EQ(&MbufAccess::pool(*segment), fixture_.pool.get());
  }
  ASSERT_EQ(piece, frame.pieces.size());
}

void Traffic::use(MbufPtr mbuf) {
  switch (below(24)) {
    case 0: mbuf.reset(); return;
    case 1: fixture_.cache->free(*mbuf.release()); return;
    case 2: other_cache_.free(std::move(mbuf)); return;
    case 3:
    case 4:
      if (held_.size() < kMaxHeld) held_.push_back(std::move(mbuf));
      return;
    case 5:
    case 6: {
      MbufPtr clone = mbuf->clone(other_cache_);
      if (clone == nullptr) return;
      if (below(2) == 0) std::swap(clone, mbuf);
      if (held_.size() < kMaxHeld) held_.push_back(std::move(clone));
      break;
    }
    case 7:
      if (!options_.hostile) break;
      mbuf->set_tx_offload({.flags = TxOffload::timestamp, .l2 = 14, .l3 = 20});
      return send(std::move(mbuf), TxOutcome::unsupported_offload);
    case 8: mbuf->set_timestamp(1); break;
    case 9:
      if (mbuf->prepend(4) != nullptr) std::memset(mbuf->data(), 0x81, 4);
      break;
    case 10: static_cast<void>(mbuf->strip(below(mbuf->length()))); break;
    case 11: grow_to(*mbuf, options_.fixture.max_frame + below(options_.hostile ? 2 : 1)); break;
    default: break;
  }
  const TxOutcome outcome = outcome_of(*mbuf);
  send(std::move(mbuf), outcome);
}

void Traffic::grow_to(Mbuf& mbuf, std::uint32_t bytes) {
  if (mbuf.packet_length() >= bytes) return;
  const std::uint32_t more = bytes - mbuf.packet_length();
  std::uint8_t* const place = mbuf.append(more);
  if (place != nullptr) std::memset(place, 0x42, more);
}

void Traffic::send(MbufPtr mbuf, TxOutcome outcome) {
  Outgoing outgoing{.outcome = outcome, .bytes = bytes_of(*mbuf)};
  if (out_.full()) transmit();
  if (out_.push(mbuf)) outgoing_.push_back(std::move(outgoing));
}

void Traffic::transmit() {
  const std::uint32_t size = out_.size();
  const std::uint32_t taken = size == 0 ? 0 : fixture_.tx.tx_burst(out_);
  ASSERT_LE(taken, size);
  note(taken);
  ASSERT_EQ(out_.size(), size - taken);
  taken_ += taken;
  for (std::uint32_t i = 0; i < taken; ++i) {
    Outgoing& outgoing = outgoing_.front();
    ++expected_tx_[static_cast<std::size_t>(outgoing.outcome)];
    if (outgoing.outcome == TxOutcome::sent) fixture_.transmitter->expect(std::move(outgoing.bytes));
    outgoing_.pop_front();
  }
  fixture_.look();
  ASSERT_EQ(fixture_.tx.packets(), taken_);
  ASSERT_LT(fixture_.tx.in_flight(), options_.fixture.tx_ring);
}

void Traffic::make_frame() {
  if (options_.hostile && below(3) == 0) return make_unsendable();
  if (below(8) == 0) return send_external(true);
  MbufPtr frame = make(17 + below(below(8) == 0 ? 6000 : 200), 1 + below(below(4) == 0 ? 6 : 1));
  if (frame == nullptr) return;
  const TxOutcome outcome = outcome_of(*frame);
  send(std::move(frame), outcome);
}

// Makes a frame of `bytes` in `segments` mbufs of the other pool, or in more if they do not fit.
MbufPtr Traffic::make(std::uint32_t bytes, std::uint32_t segments) {
  MbufPtr frame = other_cache_.allocate();
  if (frame == nullptr) return {};
  const std::uint32_t share = std::max(1U, bytes / segments);
  while (frame->packet_length() < bytes) {
    const std::uint32_t part = std::min({share, bytes - frame->packet_length(), 2048U});
    if (frame->packet_length() != 0) {
      MbufPtr more = other_pool_.allocate();
      if (more == nullptr || !frame->chain(more)) return {};
    }
    std::uint8_t* const place = frame->append(part);
    std::iota(place, place + part, static_cast<std::uint8_t>(random_()));
  }
  return frame;
}

void Traffic::make_unsendable() {
  MbufPtr frame;
  switch (below(6)) {
    case 0: frame = make(below(17), 1); break;
    case 1: frame = make(options_.fixture.max_frame + 1 + below(100), 1); break;
    case 2: frame = make(500, 33 + below(20)); break;
    case 3: return send_with_empty_segment();
    case 4: return send_external(false);
    default:
      frame = make(100, 1 + below(3));
      if (frame == nullptr) return;
      frame->set_tx_offload({.flags = TxOffload::timestamp});
      return send(std::move(frame), TxOutcome::unsupported_offload);
  }
  if (frame == nullptr) return;
  const TxOutcome outcome = outcome_of(*frame);
  EXPECT_NE(outcome, TxOutcome::sent);
  send(std::move(frame), outcome);
}

void Traffic::send_with_empty_segment() {
  MbufPtr frame = make(60, 1);
  MbufPtr empty = other_cache_.allocate();
  MbufPtr last = make(60, 1);
  if (frame == nullptr || empty == nullptr || last == nullptr) return;
  const bool followed = below(2) == 0 && empty->chain(last);
  ASSERT_EQ(followed, last == nullptr);
  ASSERT_TRUE(frame->chain(empty));
  send(std::move(frame), TxOutcome::bad_segment);
}

void Traffic::external_freed(void* opaque, std::uint8_t*) noexcept { --*static_cast<int*>(opaque); }

void Traffic::send_external(bool reachable) {
  MbufPtr mbuf = other_cache_.allocate();
  if (mbuf == nullptr) return;
  const std::uint32_t bytes = 17 + below(4000);
  ASSERT_TRUE(mbuf->attach_external(external_memory_, below(60000), bytes, &external_freed, &externals_in_use_));
  ++externals_in_use_;
  if (reachable) {
    const TxOutcome outcome = outcome_of(*mbuf);
    return send(std::move(mbuf), outcome);
  }
  MbufAccess::iova(*mbuf) = DmaMemory::kNoIova;
  send(std::move(mbuf), TxOutcome::unreachable);
}

TxOutcome Traffic::outcome_of(const Mbuf& mbuf) const {
  if (mbuf.segments() > std::min(32U, options_.fixture.tx_ring - 1)) return TxOutcome::too_many_segments;
  if (mbuf.packet_length() < 17) return TxOutcome::too_short;
  return mbuf.packet_length() > options_.fixture.max_frame ? TxOutcome::too_long : TxOutcome::sent;
}

std::vector<std::uint8_t> Traffic::bytes_of(const Mbuf& mbuf) {
  std::vector<std::uint8_t> bytes(mbuf.packet_length());
  bytes.resize(mbuf.copy_out(0, bytes));
  return bytes;
}

void Traffic::switch_caches() {
  if (!second_cache_) return;
  const MempoolCache& first = *fixture_.cache_handle;
  const std::array<const MempoolCache*, 3> caches{&first, &*second_cache_, &other_cache_};
  ASSERT_TRUE(fixture_.tx.use_cache(*caches[below(3)]));
  ASSERT_TRUE(fixture_.rx.use_cache(*caches[below(2)]));
}

void Traffic::release_some() {
  for (MbufPtr& mbuf : held_) {
    if (below(2) == 0) mbuf.reset();
  }
  std::erase_if(held_, [](const MbufPtr& mbuf) { return mbuf == nullptr; });
}

}  // namespace pollux::test
