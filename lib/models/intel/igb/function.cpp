// SPDX-License-Identifier: BSD-3-Clause

#include <optional>

#include "hw/intel/igbvf/ids.hpp"
#include "hw/intel/registers_queue.hpp"
#include "models/intel/igb/card.hpp"

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

namespace {

namespace vf = pollux::hw::igbvf;
using Extended = Interrupts::Extended;

constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
/// The counters of the function are at 0xF10 to 0xF50 in its window. In the card's they are at 0x10010 to 0x10050.
constexpr std::uint32_t kCounters = vf::VFGPRC::offset();
constexpr std::uint32_t kCountersEnd = vf::VFGOTLBC::offset() + 4;

/// The place in the card of a queue's register, which the function has at the alias offset.
template <class Registers>
std::uint32_t queue_place(const Registers& registers, std::uint32_t offset, unsigned number,
                          std::uint32_t queues) noexcept {
  for (const RegisterInfo& info : registers) {
    for (std::uint32_t queue = 0; queue < queues; ++queue) {
      if (offset == info.alias.offset + queue * info.alias.bytes) return info.at(number + queue * hw::kPools);
    }
  }
  return kNowhere;
}

std::optional<Extended> extended_register(std::uint32_t offset) noexcept {
  switch (offset) {
    case vf::EICS::offset(): return Extended::set;
    case vf::EIMS::offset(): return Extended::mask;
    case vf::EIMC::offset(): return Extended::mask_clear;
    case vf::EIAC::offset(): return Extended::auto_clear;
    case vf::EIAM::offset(): return Extended::auto_mask;
    case vf::EICR::offset(): return Extended::cause;
    default: return std::nullopt;
  }
}

class CardFunction final : public Function {
 public:
  CardFunction(Card& card, unsigned number) : card_(card), number_(number) {}

  [[nodiscard]] PciIdentity identity() const override {
    PciIdentity identity = card_.identity();
    identity.device = card_.traits().function_id;
    return identity;
  }
  [[nodiscard]] std::size_t bar_size(unsigned index) const override {
    if (index == vf::kRegisterBar) return vf::kRegisterBytes;
    return index == vf::kMsixBar ? MsixTable::kBarBytes : 0;
  }
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override {
    if (!present() || bar_size(bar) == 0) return ~std::uint32_t{0};
    return bar == vf::kMsixBar ? table_.read(offset) : read_register(offset);
  }
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override {
    if (bar == vf::kMsixBar) return write_table(offset, value);
    if (present() && bar == vf::kRegisterBar && !card_.in_reset()) write_register(offset, value);
  }
  void set_dma(ModelDma* dma) noexcept override { card_.set_function_dma(number_, dma); }
  void reset() noexcept override {
    table_.reset();
    if (present()) card_.reset_function(number_);
  }
  void advance(Duration /*now*/) noexcept override {}  // the card's time is the function's
  [[nodiscard]] Duration next_event() const noexcept override { return Duration::max(); }
  [[nodiscard]] unsigned interrupt_vectors() const override { return kVectors; }
  [[nodiscard]] MsixLayout msix_layout() const override {
    return {.bar = pollux::hw::igbvf::kMsixBar, .pending = MsixTable::kPendingOffset};
  }
  void on_interrupt(std::function<void(unsigned vector)> handler) override { send_ = std::move(handler); }
  [[nodiscard]] bool is_function() const noexcept override { return true; }

  // The wire is the card's.
  void on_transmit(WireHandler /*handler*/) override {}
  void receive(std::span<const std::byte> /*frame*/) noexcept override {}
  void set_carrier(bool /*present*/) noexcept override {}

  void message(unsigned vector) override {
    if (table_.request(vector) && send_) send_(vector);
  }

 private:
  static constexpr unsigned kVectors = pollux::hw::igbvf::kMsixVectors;

  [[nodiscard]] bool present() const noexcept { return card_.has_function(number_); }
  [[nodiscard]] std::uint32_t place_in_card(std::uint32_t offset) const noexcept {
    if (offset >= vf::VMBMEM::offset(0) && offset <= vf::VMBMEM::offset(vf::VMBMEM::kCount - 1)) {
      return hw::VMBMEM::offset(number_ * vf::VMBMEM::kCount) + (offset - vf::VMBMEM::offset(0));
    }
    if (offset >= vf::EITR::offset(0) && offset <= vf::EITR::offset(vf::EITR::kCount - 1)) {
      return hw::EITR::offset(Interrupts::first_vector(number_)) + (offset - vf::EITR::offset(0));
    }
    const std::uint32_t queues = card_.traits().queues / hw::kPools;
    const std::uint32_t received = queue_place(pollux::hw::intel::kRxQueueRegisters, offset, number_, queues);
    return received != kNowhere ? received : queue_place(pollux::hw::intel::kTxQueueRegisters, offset, number_, queues);
  }
  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset) {
    if (offset == vf::STATUS::offset()) return card_.registers().read(hw::STATUS::offset());
    if (offset == vf::V2PMAILBOX::offset()) return card_.mailboxes().read(number_);
    if (offset == vf::VTIVAR::offset()) return card_.interrupts().function_vectors(number_).queues;
    if (offset == vf::VTIVAR_MISC::offset()) return card_.interrupts().function_vectors(number_).mailbox;
    if (offset >= kCounters && offset < kCountersEnd) {
      return card_.registers().read(hw::PVFGPRC::offset(number_) + (offset - kCounters));
    }
    if (const auto which = extended_register(offset); which) return card_.interrupts().read_function(number_, *which);
    const std::uint32_t place = place_in_card(offset);
    return place == kNowhere ? 0 : card_.registers().read(place);
  }
  void write_register(std::uint32_t offset, std::uint32_t value) {
    if (offset == vf::CTRL::offset()) {
      if (vf::CTRL::Value(value).has(vf::CTRL::RST)) card_.reset_function(number_);
      return;
    }
    if (offset == vf::V2PMAILBOX::offset()) return card_.mailboxes().write(number_, value);
    if (offset == vf::VTIVAR::offset()) return void(card_.interrupts().function_vectors(number_).queues = value);
    if (offset == vf::VTIVAR_MISC::offset()) return void(card_.interrupts().function_vectors(number_).mailbox = value);
    if (const auto which = extended_register(offset); which)
      return card_.interrupts().write_function(number_, *which, value);
    const std::uint32_t place = place_in_card(offset);
    if (place != kNowhere) card_.registers().write(place, value);
  }
  void write_table(std::uint32_t offset, std::uint32_t value) {
    if (const auto due = table_.write(offset, value); due) message(*due);
  }

  Card& card_;
  unsigned number_;
  std::function<void(unsigned)> send_;
  MsixTable table_{kVectors};
};

}  // namespace

std::unique_ptr<Function> make_function(Card& card, unsigned number) {
  return std::make_unique<CardFunction>(card, number);
}

}  // namespace pollux::models::igb
