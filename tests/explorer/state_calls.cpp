// SPDX-License-Identifier: BSD-3-Clause
// The steps of the application, which calls the driver.
#include <fmt/format.h>

#include <algorithm>

#include "explorer/state.hpp"
#include "pollux/mem/burst.hpp"

namespace pollux::test {

namespace rx = hw::intel::rx;

void State::step_application(Step step) {
  switch (step) {
    case Step::rx_burst_1: return poll(1);
    case Step::rx_burst_3: return poll(3);
    case Step::rx_burst_8: return poll(8);
    case Step::drop_oldest: return drop(true);
    case Step::drop_newest: return drop(false);
    case Step::forward_1: return forward(1);
    case Step::forward_3: return forward(3);
    case Step::tx_done_cleanup: return clean();
    default: return send(step);
  }
}

void State::poll(std::uint32_t limit) {
  const std::uint32_t before = *rx_in_.next;
  const std::uint64_t dropped_before = rx_->drops().pool_empty;
  const std::uint32_t free_mbufs = pool_->stats().shared + pool_->stats().cached;
  Burst<8> burst;
  const std::uint32_t count = rx_->rx_burst(burst, limit);
  if (count != burst.size() || count > limit) return violate("rx_burst returned another number than it delivered");
  const std::uint32_t consumed = (*rx_in_.next - before) & kRingMask;
  own_.slots_polled += consumed;
  for (Mbuf& frame : burst) check_delivered(frame);
  own_.held_count += count;
  for (std::uint32_t i = count; i-- != 0;) own_.held[own_.held_count - count + i] = burst.pop().release();
  const std::uint64_t hi = rx_ring_[*rx_in_.next].hi;
  if (count < limit && rx::done(hi) && rx::length(hi) != 0)
    violate("rx_burst left a frame although the burst had room");
  if (rx_->drops().pool_empty != dropped_before && consumed <= free_mbufs)
    violate(fmt::format("dropped a frame because the pool was exhausted, but {} mbufs were free", free_mbufs));
}

void State::check_delivered(Mbuf& frame) {
  const std::uint64_t number = content(frame) >> 1;
  if (number <= own_.last_delivered)
    violate(fmt::format("frame {} was delivered after frame {}", number, own_.last_delivered));
  own_.last_delivered = number;
  ++own_.frames_delivered;
  std::uint32_t half = 0;
  const bool in_two = frame.segments() == 2;
  for (Mbuf* segment = &frame; segment != nullptr; segment = segment->next(), ++half) {
    if (content(*segment) != content_of(number, half))
      violate(fmt::format("frame {} has the bytes of another frame", number));
    const std::uint32_t bytes = !in_two ? kWholeBytes : half == 0 ? kFirstBytes : kLastBytes;
    if (segment->length() != bytes) violate(fmt::format("frame {} has {} bytes", number, segment->length()));
  }
  if (half > 2) violate(fmt::format("frame {} has {} segments", number, half));
}

void State::drop(bool oldest) {
  const auto first = own_.held.begin();
  if (oldest) {
    if (!scenario_.forgetful) cache_->free(MbufPtr(own_.held[0]));
    std::rotate(first, first + 1, first + own_.held_count);
  } else {
    MbufDeleter{}(own_.held[own_.held_count - 1]);
  }
  own_.held[--own_.held_count] = nullptr;
}

void State::forward(std::uint32_t frames) {
  const std::uint32_t taken = transmit({own_.held.data(), std::min(frames, own_.held_count)});
  const auto first = own_.held.begin();
  std::rotate(first, first + taken, first + own_.held_count);
  std::fill_n(first + (own_.held_count - taken), taken, nullptr);
  own_.held_count -= taken;
}

Mbuf* State::make_frame(std::uint32_t bytes) {
  MbufPtr mbuf = cache_->allocate();
  if (mbuf == nullptr) return nullptr;
  if (mbuf->append(bytes) == nullptr) violate("an mbuf that came from the pool is not empty");
  return mbuf.release();
}

void State::send(Step what) {
  std::vector<Mbuf*> frames;
  const auto add = [&](std::uint32_t bytes, bool chained) {
    Mbuf* const frame = make_frame(bytes);
    if (frame == nullptr) return;
    content(*frame) = content_of(++own_.frames_made, 0);
    frames.push_back(frame);
    if (!chained) return;
    MbufPtr more(make_frame(kLastBytes));
    if (more == nullptr) return;
    content(*more) = content_of(own_.frames_made, 1);
    if (!frame->chain(more)) violate("two mbufs cannot be chained");
  };
  const auto add_request = [&](std::uint32_t kind) {
    const std::size_t before = frames.size();
    add(kWholeBytes, false);
    if (frames.size() > before) make_request(*frames.back(), kind);
  };
  if (what == Step::send_chain) {
    add(kFirstBytes, true);
  } else if (what == Step::send_request) {
    add_request(1);
  } else if (what == Step::send_requests) {
    add_request(2);
    add_request(3);
  } else {
    add(kWholeBytes, false);
    if (what != Step::send_1) add(what == Step::send_3 ? kWholeBytes : kShortBytes, false);
    if (what == Step::send_3) add(kWholeBytes, false);
    if (what == Step::send_mixed) add(kFirstBytes, true);
  }
  const std::uint32_t taken = transmit(frames);
  for (std::size_t i = taken; i < frames.size(); ++i) cache_->free(MbufPtr(frames[i]));
}

// Hands `frames` to the driver and records what each slot must send. Returns the number of frames taken.
std::uint32_t State::transmit(std::span<Mbuf* const> frames) {
  const bool all_reported = own_.sender.reported == own_.tdt.written();
  std::vector<Mbuf*> segments;
  std::vector<std::size_t> frame_of;
  std::vector<std::uint32_t> kinds;
  Burst<3> burst;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const bool must_be_dropped = frames[i]->packet_length() < drivers::intel::IntelTxQueue::kMinFrame;
    if (must_be_dropped) ++own_.dropped;
    for (Mbuf* segment = frames[i]; segment != nullptr && !must_be_dropped; segment = segment->next()) {
      segments.push_back(segment);
      frame_of.push_back(i);
      kinds.push_back(frames[i]->tx_offload().vlan);  // make_request puts the kind there
    }
    MbufPtr owned(frames[i]);
    if (!burst.push(owned)) violate("the burst is full too early");
  }
  const RingIndex before = *tx_in_.next;
  const std::uint32_t taken = tx_->tx_burst(burst);
  while (!burst.empty()) static_cast<void>(burst.pop().release());
  std::uint32_t slots = 0;
  for (std::size_t i = 0; i < segments.size() && frame_of[i] < taken; ++slots) {
    const std::uint32_t slot = (before + slots).slot(kRingMask);
    if (kinds[i] != 0 && is_context(slot)) continue;
    if (tx_in_.slots[slot] != segments[i]) violate(fmt::format("slot {} has another mbuf than was sent", slot));
    own_.posted[slot] = content(*segments[i]);
    own_.wanted[slot] = kinds[i++];
  }
  // Frames that were not taken stay with the caller, so they were not dropped either.
  for (std::size_t i = taken; i < frames.size(); ++i) {
    if (frames[i]->packet_length() < drivers::intel::IntelTxQueue::kMinFrame) --own_.dropped;
  }
  if (tx_in_.next->distance_from(before) != slots) violate("tx_burst moved on by another number of slots than it took");
  // A burst cleans full groups only, so less than one group may be left.
  if (all_reported && !frames.empty() && tx_->in_flight() > slots + kSlotsInGroup - 1)
    violate(fmt::format("tx_burst left {} slots that were reported", tx_->in_flight() - slots));
  if (all_reported && taken != frames.size()) violate("tx_burst found no room although the whole ring is done");
  return taken;
}

void State::clean() {
  const bool all_reported = own_.sender.reported == own_.tdt.written();
  static_cast<void>(tx_->tx_done_cleanup());
  if (all_reported && tx_->in_flight() != 0) violate("tx_done_cleanup left reported slots");
}

}  // namespace pollux::test
