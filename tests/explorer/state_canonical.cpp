// SPDX-License-Identifier: BSD-3-Clause
// The fingerprint of a state and its description.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "explorer/state.hpp"

namespace pollux::test {

namespace rx = hw::intel::rx;
namespace tx = hw::intel::tx;

namespace {

// A 64-bit digest. With ten million states, one collision is expected in 400,000 runs.
class Digest {
 public:
  void add(std::uint64_t word) {
    value_ = (value_ ^ word) * 0x9E3779B97F4A7C15;
    value_ ^= value_ >> 32;
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0x243F6A8885A308D3;
};

// Numbers the buffers in the order in which they are found, since they do not differ otherwise.
class Names {
 public:
  std::uint32_t operator()(std::uint32_t buffer) {
    if (names_[buffer] == 0) names_[buffer] = ++given_;
    return names_[buffer];
  }

 private:
  std::array<std::uint32_t, kMaxBuffers + 1> names_{};
  std::uint32_t given_ = 0;
};

}  // namespace

std::uint64_t State::fingerprint() const {
  Digest digest;
  Names names;
  const auto add_mbuf = [&](const Mbuf* mbuf) {
    digest.add(names(index_of(mbuf)) | std::uint64_t{mbuf->segments()} << 32);
    digest.add(MbufAccess::word(*mbuf));
  };
  const std::uint64_t first = pool_->core()->buffer_iova(*buffers_[0]) + headroom_;
  const auto add_address = [&](std::uint64_t iova) {
    digest.add(is_buffer(iova) ? names(static_cast<std::uint32_t>((iova - first) / buffer_stride_)) : iova | 1);
  };
  digest.add(std::min(wraps(), kWraps));
  if (scenario_.rx) {
    const ReceivingCard& card = own_.receiver;
    digest.add(*rx_in_.next | std::uint64_t{*rx_in_.chain} << 8 | std::uint64_t{card.head} << 16 |
               std::uint64_t{card.tail} << 24 | std::uint64_t{card.fetched} << 32 |
               std::uint64_t{static_cast<std::uint8_t>(card.phase)} << 40 | std::uint64_t{card.in_frame} << 48 |
               std::uint64_t{own_.rdt.visible} << 52 | std::uint64_t{own_.rdt.is_posted} << 56 |
               std::uint64_t{own_.rdt.posted} << 60);
    for (std::uint32_t slot = 0; slot < kRing; ++slot) {
      digest.add(names(index_of(rx_in_.slots[slot])) | std::uint64_t{card.echoed[slot]} << 32);
      add_address(rx_ring_[slot].lo);
      digest.add(rx_ring_[slot].hi);
    }
    // The status of a frame that the card is writing back or has just written back.
    if (card.phase != ReceivingCard::Phase::idle) digest.add(card.status);
    for (const Mbuf* part = *rx_in_.chain_head; part != nullptr; part = part->next()) add_mbuf(part);
  }
  digest.add(own_.held_count);
  for (std::uint32_t i = 0; i < own_.held_count; ++i) {
    for (const Mbuf* part = own_.held[i]; part != nullptr; part = part->next()) add_mbuf(part);
  }
  if (scenario_.tx) {
    const SendingCard& card = own_.sender;
    const std::uint32_t in_flight = tx_->in_flight();
    digest.add(tx_in_.clean->slot(kRingMask) | in_flight << 8 | std::uint64_t{card.reported} << 16 |
               std::uint64_t{card.sent} << 24 | std::uint64_t{card.fetched} << 32 | std::uint64_t{card.tail} << 40 |
               std::uint64_t{card.in_frame} << 48 | std::uint64_t{own_.tdt.visible} << 52 |
               std::uint64_t{own_.tdt.is_posted} << 56 | std::uint64_t{own_.tdt.posted} << 60);
    for (std::uint32_t i = 0; i < kRing; ++i) {
      const std::uint32_t slot = (*tx_in_.clean + i).slot(kRingMask);
      const Descriptor& descriptor = tx_ring_[slot];
      if (i >= in_flight) {
        digest.add(tx::done(descriptor.hi));
        continue;
      }
      if (is_context(slot)) {
        digest.add(descriptor.lo);
      } else {
        add_mbuf(tx_in_.slots[slot]);
        add_address(descriptor.lo);
      }
      digest.add(descriptor.hi);
    }
    if (scenario_.requests) {
      std::array<std::uint64_t, sizeof(*tx_in_.contexts) / sizeof(std::uint64_t)> known{};
      std::memcpy(known.data(), tx_in_.contexts, sizeof known);
      for (const std::uint64_t word : known) digest.add(word);
      for (const Descriptor& context : card.contexts) digest.add(context.lo ^ context.hi);
    }
    for (std::uint32_t group = 0; group < TxPrivateMembers::kGroups; ++group)
      digest.add(tx_in_.report_slot[group] | std::uint64_t{tx_in_.contents[group]} << 32);
    digest.add(static_cast<std::uint64_t>(reinterpret_cast<const std::byte*>(*tx_in_.done) -
                                          reinterpret_cast<const std::byte*>(tx_ring_)));
  }
  // Free buffers do not differ, so only their number in the cache counts.
  digest.add(cache_->core()->count());
  return digest.value();
}

std::string State::describe() const {
  std::string text;
  if (scenario_.rx) {
    const ReceivingCard& card = own_.receiver;
    text += fmt::format("rx: next {} RDH {} RDT {} (seen {}), fetched {}, ring ", *rx_in_.next, card.head,
                        own_.rdt.written(), card.tail, card.fetched);
    // a: armed, w: written without DD, 0: done with length 0, d: done, D: done with end of packet.
    for (std::uint32_t slot = 0; slot < kRing; ++slot) {
      const std::uint64_t hi = rx_ring_[slot].hi;
      text += hi == 0                        ? 'a'
              : !rx::done(hi)                ? 'w'
              : rx::length(hi) == 0          ? '0'
              : (hi & rx::kEndOfPacket) == 0 ? 'd'
                                             : 'D';
    }
    text += "; ";
  }
  if (scenario_.tx) {
    const SendingCard& card = own_.sender;
    text +=
        fmt::format("tx: next {} clean {} TDT {} (seen {}), sent {} and reported to {}; ", tx_in_.next->slot(kRingMask),
                    tx_in_.clean->slot(kRingMask), own_.tdt.written(), card.tail, card.sent, card.reported);
  }
  return text + fmt::format("held {}, cache {}, pool {}", own_.held_count, cache_->core()->count(),
                            pool_in_.shared_count->load());
}

std::string to_string(Step step) {
  switch (step) {
    case Step::rx_see_tail: return "card: sees RDT";
    case Step::rx_fetch: return "card: fetches a receive descriptor";
    case Step::rx_fill_whole: return "card: fills a buffer with a frame";
    case Step::rx_fill_bad: return "card: fills a buffer with a bad frame";
    case Step::rx_fill_first: return "card: fills a buffer with the first half of a frame";
    case Step::rx_fill_last: return "card: fills a buffer with the second half of a frame";
    case Step::rx_store_descriptor: return "card: stores the write-back without DD";
    case Step::rx_store_status: return "card: stores the status word with DD";
    case Step::rx_store_status_again: return "card: stores the status word again";
    case Step::rx_burst_1: return "rx_burst of 1";
    case Step::rx_burst_3: return "rx_burst of 3";
    case Step::rx_burst_8: return "rx_burst of 8";
    case Step::drop_oldest: return "application: drops the oldest frame";
    case Step::drop_newest: return "application: drops the newest frame";
    case Step::forward_1: return "tx_burst of the oldest frame";
    case Step::forward_3: return "tx_burst of the 3 oldest frames";
    case Step::send_1: return "tx_burst of a new frame";
    case Step::send_3: return "tx_burst of 3 new frames";
    case Step::send_chain: return "tx_burst of a new chain of 2";
    case Step::send_mixed: return "tx_burst of a new frame, one too short, and a chain of 2";
    case Step::send_request: return "tx_burst of a new frame with a request";
    case Step::send_requests: return "tx_burst of 2 new frames with requests of two other kinds";
    case Step::tx_done_cleanup: return "tx_done_cleanup";
    case Step::tx_see_tail: return "card: sees TDT";
    case Step::tx_fetch: return "card: fetches a transmit descriptor";
    case Step::tx_send: return "card: sends a descriptor";
    case Step::tx_report: return "card: reports a descriptor done";
  }
  return "?";
}

}  // namespace pollux::test
