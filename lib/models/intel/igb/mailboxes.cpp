// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/mailboxes.hpp"

namespace pollux::models::igb {
namespace {

using P2V = hw::P2VMAILBOX;

}  // namespace

Mailboxes::Mailboxes(RegisterFile& registers, Interrupts& interrupts) : registers_(registers), interrupts_(interrupts) {
  registers_.on_write<P2V>([this](std::uint32_t number, std::uint32_t value) { write_physical(number, value); });
}

void Mailboxes::reset() {
  virtual_.fill(V2P::RSTI);
  registers_.set<hw::MBVFIMR>(hw::MBVFIMR::POOLS(0xFF));
}

void Mailboxes::finish_reset() {
  for (auto& mailbox : virtual_) mailbox = mailbox.without(V2P::RSTI).with(V2P::RSTD);
}

std::uint32_t Mailboxes::read(std::uint32_t number) {
  const V2P::Value value = virtual_[number];
  virtual_[number] = value.without(V2P::PFSTS | V2P::PFACK | V2P::RSTD);
  return value.raw();
}

// A side holds the memory only if the other one does not. A write without its bit releases it.
void Mailboxes::write(std::uint32_t number, std::uint32_t value) {
  const V2P::Value written(value);
  const P2V::Value other = registers_.get<P2V>(number);
  const bool holds = written.has(V2P::VFU) && !other.has(P2V::PFU);
  virtual_[number] = holds ? virtual_[number].with(V2P::VFU) : virtual_[number].without(V2P::VFU);
  registers_.set<P2V>(number, holds ? other.with(P2V::VFU) : other.without(P2V::VFU));
  const std::uint32_t causes = (written.has(V2P::REQ) ? hw::MBVFICR::REQUEST(bit(number)).bits() : 0) |
                               (written.has(V2P::ACK) ? hw::MBVFICR::ACKNOWLEDGE(bit(number)).bits() : 0);
  if (causes == 0) return;
  registers_.set<hw::MBVFICR>(hw::MBVFICR::Value(registers_.get<hw::MBVFICR>().raw() | causes));
  interrupt_physical(number);
}

void Mailboxes::write_physical(std::uint32_t number, std::uint32_t value) {
  const P2V::Value written(value);
  V2P::Value& other = virtual_[number];
  if (written.has(P2V::RVFU)) {
    other = other.without(V2P::VFU);
    const std::uint32_t pending =
        hw::MBVFICR::REQUEST(bit(number)).bits() | hw::MBVFICR::ACKNOWLEDGE(bit(number)).bits();
    registers_.set<hw::MBVFICR>(hw::MBVFICR::Value(registers_.get<hw::MBVFICR>().raw() & ~pending));
  }
  const bool holds = written.has(P2V::PFU) && !other.has(V2P::VFU);
  other = holds ? other.with(V2P::PFU) : other.without(V2P::PFU);
  registers_.set<P2V>(number, holds ? P2V::Value(P2V::PFU) : P2V::Value());
  if (other.has(V2P::VFU)) registers_.change<P2V>(number, P2V::VFU);
  if (written.has(P2V::STS)) other = other.with(V2P::PFSTS);
  if (written.has(P2V::ACK)) other = other.with(V2P::PFACK);
  if (written.has(P2V::STS) || written.has(P2V::ACK)) interrupts_.raise_mailbox_of(number);
}

void Mailboxes::report_reset(std::uint32_t number) {
  registers_.set<hw::VFLRE>(hw::VFLRE::Value(registers_.get<hw::VFLRE>().raw() | bit(number)));
  virtual_[number] = virtual_[number].without(V2P::VFU);
  registers_.set<P2V>(number, registers_.get<P2V>(number).without(P2V::VFU));
  interrupts_.raise(hw::ICR::VMMB);
}

void Mailboxes::interrupt_physical(std::uint32_t number) {
  if ((registers_.get<hw::MBVFIMR>().get(hw::MBVFIMR::POOLS) & bit(number)) != 0) interrupts_.raise(hw::ICR::VMMB);
}

}  // namespace pollux::models::igb
