// SPDX-License-Identifier: BSD-3-Clause
// The steps of the cards.
#include <fmt/format.h>

#include <cstring>

#include "explorer/state.hpp"

namespace pollux::test {

namespace rx = hw::intel::rx;
namespace tx = hw::intel::tx;
using Phase = ReceivingCard::Phase;

namespace {

// The card's store of the status word alone: the lower half of the descriptor's high word.
void store_status_word(hw::intel::Descriptor& descriptor, std::uint64_t status) {
  const auto word = static_cast<std::uint32_t>(status);
  std::memcpy(&descriptor.hi, &word, sizeof word);
}

}  // namespace

bool State::possible(Step step) const {
  const ReceivingCard& receiver = own_.receiver;
  const SendingCard& sender = own_.sender;
  const bool fills = receiver.phase == Phase::idle && receiver.fetched != 0;
  const bool forwards = scenario_.rx && scenario_.tx && own_.held_count != 0;
  const bool sends = scenario_.tx && !scenario_.rx;
  const bool polls = scenario_.rx && own_.held_count <= scenario_.hold;
  switch (step) {
    case Step::rx_see_tail: return own_.rdt.visible != receiver.tail;
    case Step::rx_fetch: return receiver.fetched < scenario_.prefetch && receiver.fetched < receiver.owned();
    case Step::rx_fill_whole: return fills && !receiver.in_frame;
    case Step::rx_fill_bad: return fills && !receiver.in_frame && scenario_.bad_frames;
    case Step::rx_fill_first: return fills && !receiver.in_frame && scenario_.chains;
    case Step::rx_fill_last: return fills && receiver.in_frame;
    case Step::rx_store_descriptor: return receiver.phase == Phase::filled;
    case Step::rx_store_status: return receiver.phase == Phase::descriptor_stored;
    case Step::rx_store_status_again: return receiver.phase == Phase::status_stored;
    case Step::rx_burst_1: return polls;
    case Step::rx_burst_3: return polls && !scenario_.single_bursts;
    case Step::rx_burst_8: return polls && !scenario_.single_bursts;
    case Step::drop_oldest: return own_.held_count != 0;
    case Step::drop_newest: return own_.held_count != 0 && !scenario_.tx;
    case Step::forward_1: return forwards;
    case Step::forward_3: return forwards && own_.held_count > 1;
    case Step::send_1: return sends;
    case Step::send_3: return sends && !scenario_.single_bursts;
    case Step::send_chain: return sends && scenario_.chains;
    case Step::send_mixed: return sends && scenario_.chains && scenario_.bad_frames;
    case Step::send_request: return sends && scenario_.requests;
    case Step::send_requests: return sends && scenario_.requests;
    case Step::tx_done_cleanup: return scenario_.tx && tx_->in_flight() != 0;
    case Step::tx_see_tail: return own_.tdt.visible != sender.tail;
    case Step::tx_fetch: return sender.fetched < scenario_.prefetch && sender.sent + sender.fetched < sender.owned();
    case Step::tx_send: return sender.fetched != 0;
    case Step::tx_report: return next_report().has_value();
  }
  return false;
}

void State::step_receiver(Step step) {
  constexpr std::uint64_t kWhole = rx::kDone | rx::kEndOfPacket;
  switch (step) {
    case Step::rx_see_tail: return receiver_sees_tail();
    case Step::rx_fetch: return receiver_fetches();
    case Step::rx_fill_whole: return receiver_fills(kWholeBytes, 0, kWhole);
    case Step::rx_fill_bad: return receiver_fills(kWholeBytes, 0, kWhole | rx::kDataError);
    case Step::rx_fill_first: return receiver_fills(kFirstBytes, 0, rx::kDone);
    case Step::rx_fill_last: return receiver_fills(kLastBytes, 1, kWhole);
    case Step::rx_store_descriptor: return receiver_stores_descriptor();
    case Step::rx_store_status: return receiver_stores_status(false);
    default: return receiver_stores_status(true);
  }
}

void State::receiver_sees_tail() {
  ReceivingCard& card = own_.receiver;
  const std::uint32_t value = own_.rdt.visible;
  if (value >= kRing) return violate(fmt::format("RDT is {} in a ring of {}", value, kRing));
  // The card already owns the slots in [head, old tail). If the tail passed the head, it would own some twice.
  const std::uint32_t more = (value - card.tail) & kRingMask;
  if (card.owned() + more >= kRing)
    return violate(fmt::format("RDT {} reaches RDH {} with armed slots between", value, card.head));
  card.tail = value;
}

void State::receiver_fetches() {
  ReceivingCard& card = own_.receiver;
  const std::uint32_t slot = (card.head + card.fetched) & kRingMask;
  const Descriptor descriptor = rx_ring_[slot];
  if (!is_buffer(descriptor.lo)) return violate(fmt::format("slot {} is armed with {:#x}", slot, descriptor.lo));
  if (descriptor.hi != 0 && !card.echoed[slot])
    return violate(fmt::format("slot {} is armed with a header address, {:#x}", slot, descriptor.hi));
  card.read[slot] = descriptor;
  ++card.fetched;
}

void State::receiver_fills(std::uint32_t bytes, std::uint32_t half, std::uint64_t status) {
  ReceivingCard& card = own_.receiver;
  if (half == 0) ++own_.frames_begun;
  *content_at(card.read[card.head].lo) = content_of(own_.frames_begun, half);
  card.status = status | std::uint64_t{bytes} << rx::kLengthShift;
  card.phase = Phase::filled;
  if (!scenario_.one_store) return;
  receiver_stores_descriptor();
  receiver_stores_status(false);
  card.phase = Phase::idle;
}

// As in QEMU's igb (hw/net/igb_core.c, igb_pci_dma_write_rx_desc): first the whole write-back without DD, then the
// status word.
void State::receiver_stores_descriptor() {
  ReceivingCard& card = own_.receiver;
  if (rx_ring_[card.head] != card.read[card.head])
    return violate(fmt::format("slot {} changed while the card owned it", card.head));
  rx_ring_[card.head] = {kNoise, card.status & ~rx::kDone};
  card.phase = Phase::descriptor_stored;
}

void State::receiver_stores_status(bool again) {
  ReceivingCard& card = own_.receiver;
  if (again) {
    const std::uint32_t slot = (card.head - 1) & kRingMask;
    store_status_word(rx_ring_[slot], card.status);
    card.echoed[slot] = true;
    card.phase = Phase::idle;
    return;
  }
  store_status_word(rx_ring_[card.head], card.status);
  const bool last = (card.status & rx::kEndOfPacket) != 0;
  card.in_frame = !last;
  if (last) ++own_.frames_completed;
  if ((card.status & rx::kDataError) != 0) ++own_.bad_completed;
  card.echoed[card.head] = false;
  card.head = (card.head + 1) & kRingMask;
  --card.fetched;
  card.phase = Phase::status_stored;
}

void State::step_sender(Step step) {
  switch (step) {
    case Step::tx_see_tail: return sender_sees_tail();
    case Step::tx_fetch: return sender_fetches();
    case Step::tx_send: return sender_sends();
    default: return sender_reports();
  }
}

void State::sender_sees_tail() {
  SendingCard& card = own_.sender;
  const std::uint32_t value = own_.tdt.visible;
  if (value >= kRing) return violate(fmt::format("TDT is {} in a ring of {}", value, kRing));
  const std::uint32_t more = (value - card.tail) & kRingMask;
  if (card.owned() + more >= kRing)
    return violate(fmt::format("TDT {} reaches slot {}, which is not reported yet", value, card.reported));
  card.tail = value;
  if ((tx_ring_[(value - 1) & kRingMask].hi & tx::kReportStatus) == 0)
    violate("the last descriptor of a burst has no RS");
}

void State::sender_fetches() {
  SendingCard& card = own_.sender;
  const std::uint32_t slot = card.next_to_fetch();
  const Descriptor descriptor = tx_ring_[slot];
  const bool is_context = tx::type(descriptor.hi) == tx::kTypeContext;
  if (is_context ? (descriptor.hi & tx::kReportStatus) != 0 || tx::done(descriptor.hi)
                 : tx::type(descriptor.hi) != tx::kTypeData || (descriptor.hi & tx::kData) != tx::kData ||
                       tx::done(descriptor.hi))
    return violate(fmt::format("slot {} holds {:#x}, which is not a descriptor to send", slot, descriptor.hi));
  if (!is_context && !is_buffer(descriptor.lo))
    return violate(fmt::format("slot {} sends from {:#x}, which is not a buffer", slot, descriptor.lo));
  card.read[slot] = descriptor;
  ++card.fetched;
}

void State::sender_sends() {
  SendingCard& card = own_.sender;
  const std::uint32_t slot = card.next_to_send();
  const Descriptor& descriptor = card.read[slot];
  if (tx::type(descriptor.hi) == tx::kTypeContext) return use_context(descriptor);
  check_request(slot);
  if (*content_at(descriptor.lo) != own_.posted[slot])
    return violate(fmt::format("slot {} sends other bytes than were posted", slot));
  const bool last = (descriptor.hi & tx::kEndOfPacket) != 0;
  if (!last && (descriptor.hi & tx::kReportStatus) != 0) return violate("RS in the middle of a frame");
  const std::uint32_t half = card.in_frame ? 1 : 0;
  if ((own_.posted[slot] & 1) != half) return violate(fmt::format("slot {} sends the wrong half of a frame", slot));
  card.in_frame = !last;
  ++card.sent;
  --card.fetched;
}

// The number of sent slots that the next report covers.
std::optional<std::uint32_t> State::next_report() const {
  const SendingCard& card = own_.sender;
  for (std::uint32_t i = 0; i < card.sent; ++i) {
    const std::uint32_t slot = (card.reported + i) & kRingMask;
    if ((card.read[slot].hi & tx::kReportStatus) != 0) return i + 1;
  }
  return std::nullopt;
}

void State::sender_reports() {
  SendingCard& card = own_.sender;
  const std::uint32_t slots = *next_report();
  for (std::uint32_t i = 0; i < slots; ++i) {
    const std::uint32_t slot = (card.reported + i) & kRingMask;
    if (tx_ring_[slot] != card.read[slot]) return violate(fmt::format("slot {} changed before it was reported", slot));
  }
  const std::uint32_t last = (card.reported + slots - 1) & kRingMask;
  tx_ring_[last] = {kNoise, kNoise | tx::kDone};
  card.reported = (last + 1) & kRingMask;
  card.sent -= slots;
}

}  // namespace pollux::test
