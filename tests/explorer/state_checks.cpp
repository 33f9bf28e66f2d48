// SPDX-License-Identifier: BSD-3-Clause
// The invariants of every state.
#include <fmt/format.h>

#include "explorer/state.hpp"

namespace pollux::test {

namespace rx = hw::intel::rx;
namespace tx = hw::intel::tx;

void State::check() {
  if (!violation_.empty()) return;
  check_owners();
  if (scenario_.rx) check_receive_ring();
  if (scenario_.rx) check_receive_account();
  if (scenario_.tx) check_transmit_ring();
  for (const Misuse& misuse : fixture_.misuses()) violate(misuse.what);
}

void State::claim(std::array<const char*, kMaxBuffers>& owners, const Mbuf* mbuf, const char* owner) {
  const std::uint32_t index = index_of(mbuf);
  if (index == kMaxBuffers) return violate(fmt::format("the {} holds a pointer that is not an mbuf", owner));
  if (owners[index] != nullptr)
    return violate(fmt::format("buffer {} is in the {} and in the {}", index, owners[index], owner));
  owners[index] = owner;
}

void State::check_owners() {
  std::array<const char*, kMaxBuffers> owners{};
  for (std::uint32_t i = 0; scenario_.rx && i < kRing; ++i) claim(owners, rx_in_.slots[i], "receive ring");
  for (const Mbuf* part = scenario_.rx ? *rx_in_.chain_head : nullptr; part != nullptr; part = part->next())
    claim(owners, part, "frame being received");
  for (std::uint32_t i = 0; i < own_.held_count; ++i) {
    for (const Mbuf* part = own_.held[i]; part != nullptr; part = part->next()) claim(owners, part, "application");
  }
  for (std::uint32_t i = 0; scenario_.tx && i < tx_->in_flight(); ++i) {
    const std::uint32_t slot = (*tx_in_.clean + i).slot(kRingMask);
    if (!is_context(slot)) claim(owners, tx_in_.slots[slot], "transmit ring");
  }
  const auto claim_free = [&](Mbuf* mbuf, const char* list) {
    claim(owners, mbuf, list);
    if (violation_.empty() && MbufAccess::special(*mbuf) != 0)
      violate(fmt::format("buffer {} was freed to the {} with special bits set", index_of(mbuf), list));
  };
  MempoolCacheCore& cache = *cache_->core();
  for (std::uint32_t i = 0; i < cache.count() && i < kMaxBuffers; ++i) claim_free(cache.objects()[i], "cache");
  auto link = static_cast<std::uint32_t>(pool_in_.head->load());
  std::uint32_t shared = 0;
  for (; link != 0 && violation_.empty(); ++shared) {
    Mbuf* const mbuf = buffer_at(pool_in_.lowest + (link - std::size_t{1}) * 64);
    claim_free(mbuf, "pool");
    if (violation_.empty()) link = MbufAccess::free_link(*mbuf).load();
  }
  if (shared != pool_in_.shared_count->load())
    violate(fmt::format("the pool counts {} free mbufs", pool_in_.shared_count->load()));
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    if (owners[i] == nullptr) violate(fmt::format("buffer {} is lost", i));
  }
}

// The number of slots that the card has written back and the driver has not polled.
std::uint32_t State::unpolled() const { return (own_.receiver.head - *rx_in_.next) & kRingMask; }

void State::check_receive_ring() {
  const ReceivingCard& card = own_.receiver;
  const MempoolCore& pool = *pool_->core();
  const std::uint32_t waiting = unpolled();
  for (std::uint32_t i = 0; i < kRing; ++i) {
    const std::uint32_t slot = (*rx_in_.next + i) & kRingMask;
    const Descriptor& descriptor = rx_ring_[slot];
    const std::uint64_t armed = pool.buffer_iova(*rx_in_.slots[slot]) + headroom_;
    if (i < waiting) {
      // The card must have filled the buffer that is still in the slot.
      if (card.read[slot].lo != armed)
        violate(fmt::format("the card filled a buffer other than that of slot {}", slot));
      continue;
    }
    const bool being_written = slot == card.head && card.phase == ReceivingCard::Phase::descriptor_stored;
    if (being_written) continue;
    if (descriptor.lo != armed) violate(fmt::format("slot {} is not armed with its buffer", slot));
    if (descriptor.hi != 0 && !card.echoed[slot]) violate(fmt::format("slot {} is armed and marked done", slot));
  }
  const std::uint32_t armed_slots = (own_.rdt.written() - card.head) & kRingMask;
  if (armed_slots + waiting >= kRing)
    violate(fmt::format("RDT {} gives the card a slot that was not polled", own_.rdt.written()));
  if (armed_slots + waiting < kRing - kSlotsInGroup)
    violate(fmt::format("the card owns only {} slots, and {} wait to be polled", armed_slots, waiting));
}

void State::check_receive_account() {
  const RxDrops drops = rx_->drops();
  std::uint64_t waiting = 0;
  for (std::uint32_t i = 0; i < unpolled(); ++i) {
    if ((rx_ring_[(*rx_in_.next + i) & kRingMask].hi & rx::kEndOfPacket) != 0) ++waiting;
  }
  constexpr std::uint8_t kDiscarding = 2;
  // A frame whose first half was dropped counts as dropped before the card has completed it.
  const std::uint64_t early = *rx_in_.chain == kDiscarding ? 1 : 0;
  const std::uint64_t dropped = drops.pool_empty + drops.error;
  if (own_.frames_completed + early != own_.frames_delivered + dropped + waiting)
    violate(fmt::format("{} frames arrived; {} were delivered, {} dropped, and {} wait", own_.frames_completed,
                        own_.frames_delivered, dropped, waiting));
  if (rx_->packets() != own_.frames_delivered) violate("the queue's counter differs from the frames it delivered");
  if (drops.error > own_.bad_completed || drops.bad_length + drops.too_many_segments + drops.stopped != 0)
    violate("a good frame was dropped as a bad one");
}

void State::check_transmit_ring() {
  const SendingCard& card = own_.sender;
  const std::uint32_t in_flight = tx_->in_flight();
  const std::uint32_t unreported = (own_.tdt.written() - card.reported) & kRingMask;
  if (in_flight >= kRing) violate(fmt::format("{} slots are in flight", in_flight));
  if (tx_in_.next->slot(kRingMask) != own_.tdt.written()) violate("the driver did not ring the doorbell");
  if (in_flight < unreported)
    violate(fmt::format("{} slots were reclaimed before they were reported", unreported - in_flight));
  const MempoolCore& pool = *pool_->core();
  for (std::uint32_t i = 0; i < unreported; ++i) {
    const std::uint32_t slot = (card.reported + i) & kRingMask;
    if (is_context(slot)) continue;
    Mbuf& mbuf = *tx_in_.slots[slot];
    if (tx_ring_[slot].lo != pool.buffer_iova(mbuf) + headroom_ || tx::done(tx_ring_[slot].hi))
      violate(fmt::format("slot {} changed while the card owned it", slot));
    if (content(mbuf) != own_.posted[slot])
      violate(fmt::format("the bytes of slot {} changed before they were sent", slot));
  }
  const TxDrops drops = tx_->drops();
  if (drops.rejected() != own_.dropped || drops.too_short != own_.dropped || drops.stopped != 0)
    violate(fmt::format("{} frames had to be dropped, and {} were counted", own_.dropped, drops.rejected()));
}

}  // namespace pollux::test
