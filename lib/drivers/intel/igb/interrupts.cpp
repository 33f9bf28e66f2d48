// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/igb/interrupts.hpp"

#include <array>

namespace pollux::drivers::igb {
namespace {

constexpr std::uint32_t kOtherVector = 0;
constexpr std::uint32_t kOtherBit = 1U << kOtherVector;

// Linux, igb_main.c, igb_assign_vector.
void assign_vectors(const Card& card, const intel::QueueInterrupts& interrupts, std::uint32_t count) {
  std::array<reg::IVAR::Value, reg::IVAR::kCount> entries{};
  for (std::uint32_t queue = 0; queue < count; ++queue) {
    const reg::QueueEntry at = reg::ivar_entry(card.first_queue + queue, card.traits->ivar_distance);
    const std::uint32_t vector = interrupts.vector_of(queue);
    entries[at.index] = entries[at.index].with(at.high ? reg::IVAR::RX_HIGH(vector) | reg::IVAR::RX_HIGH_VALID
                                                       : reg::IVAR::RX_LOW(vector) | reg::IVAR::RX_LOW_VALID);
  }
  for (std::uint32_t index = 0; index < entries.size(); ++index) {
    if (entries[index].raw() != 0) card.regs.write<reg::IVAR>(index, entries[index]);
  }
}

}  // namespace

// Linux, igb_main.c, igb_configure_msix, igb_assign_vector and igb_irq_enable. The mode comes first, because QEMU's
// card ignores EIAC outside of it (I-EIACSET). A message clears its cause (EIAC), and that of a queue masks its vector
// (EIAM, with GPIE.EIAME). Transmit queues have no vector: sent buffers are reclaimed when more are sent.
void enable_interrupts(const Card& card, intel::QueueSet& queues, std::uint32_t count) {
  intel::QueueInterrupts* const interrupts = queues.interrupts();
  if (interrupts == nullptr) return;
  const intel::MaskRegisters masks{.bar = card.regs.bar(),
                                   .unmask = reg::EIMS::offset(0),
                                   .mask = reg::EIMC::offset(0),
                                   .moderation = reg::EITR::offset(0)};
  if (auto enabled = interrupts->enable(*card.device, masks, queues, count); !enabled) {
    card.log(LogLevel::warning, enabled.error().message() + "; no thread can sleep on the port's queues");
    return;
  }
  if (interrupts->enabled() == 0) return;
  card.regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE | reg::GPIE::PBA | reg::GPIE::EIAME | reg::GPIE::NSICR);
  card.regs.write<reg::EIAC>(reg::EIAC::VECTORS(interrupts->bits()));
  const std::uint32_t other = interrupts->has_other() ? kOtherBit : 0;
  card.regs.write<reg::EIAM>(reg::EIAM::VECTORS(interrupts->bits() & ~other));
  assign_vectors(card, *interrupts, count);
  if (!interrupts->has_other()) return;
  card.regs.write<reg::IVAR_MISC>(reg::IVAR_MISC::OTHER(kOtherVector) | reg::IVAR_MISC::OTHER_VALID);
  card.regs.write<reg::IMS>(reg::IMS::LSC);
  card.regs.write<reg::EIMS>(reg::EIMS::VECTORS(kOtherBit));
}

// Linux, igb_main.c, igb_msix_other. A cause that stays in ICR raises no further message. Only this read depends on
// when a message came, so that a replay can be serviced at other times (igb_is_status).
void acknowledge_interrupts(const Card& card, intel::QueueSet& queues) {
  intel::QueueInterrupts* const interrupts = queues.interrupts();
  if (interrupts == nullptr || !interrupts->take_other()) return;
  static_cast<void>(card.regs.read_and_clear<reg::ICR>());
}

}  // namespace pollux::drivers::igb
