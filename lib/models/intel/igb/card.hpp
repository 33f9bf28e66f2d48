// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/clocks.hpp"
#include "models/intel/igb/control.hpp"
#include "models/intel/igb/dma.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/package.hpp"
#include "models/intel/igb/phy.hpp"
#include "models/intel/igb/receive.hpp"
#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/transmit.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

/// [I-M-MAILBOX] The mailboxes between the physical function and its virtual functions: who holds the memory, which
/// messages and acknowledgements are pending, and the signs of a reset of either side. QEMU, igb_core.c,
/// igb_set_pfmailbox and igb_set_vfmailbox.
class Mailboxes {
 public:
  using V2P = pollux::hw::igbvf::V2PMAILBOX;

  Mailboxes(RegisterFile& registers, Interrupts& interrupts);
  /// The physical function is reset: the others see RSTI until its driver sets CTRL_EXT.PFRSTD.
  void reset();
  /// CTRL_EXT.PFRSTD was set.
  void finish_reset();

  /// V2PMAILBOX, as function `number` accesses it.
  [[nodiscard]] std::uint32_t read(std::uint32_t number);
  void write(std::uint32_t number, std::uint32_t value);
  /// Tells the physical function that a virtual one was reset.
  void report_reset(std::uint32_t number);

 private:
  void write_physical(std::uint32_t number, std::uint32_t value);
  void interrupt_physical(std::uint32_t number);

  RegisterFile& registers_;
  Interrupts& interrupts_;
  std::array<V2P::Value, hw::kPools> virtual_{};
};

class Card;

/// A virtual function of the card, as its own driver sees it: a window of 16 KiB on the card's registers, and three
/// MSI-X vectors. Function n has the queues n and n + 8. A function that is not enabled reads all ones. QEMU,
/// hw/net/igbvf.c, vf_to_pf_addr.
class Function : public DeviceModel {
 public:
  /// The card sends the function's message.
  virtual void message(unsigned vector) = 0;
};
[[nodiscard]] std::unique_ptr<Function> make_function(Card& card, unsigned number);

struct CardOptions {
  std::array<std::uint8_t, 6> mac{0x02, 0x00, 0x00, 0x82, 0x57, 0x60};
  std::uint16_t device_id = hw::kCards[0].id;
  std::uint32_t lan_id = 0;              ///< index of the port in its package, 0 to 3
  std::optional<unsigned> vectors = {};  ///< MSI-X vectors; absent: those of the traits
  unsigned express_version = 2;          ///< of the PCI Express capability, as GCR reports it: 1 or 2
  /// An earlier driver has left values in what only power-on is known to clear (I-M-RESET), so that a driver which
  /// relies on them is noticed: interrupts are moderated as much as possible, and the machine may be woken.
  bool used_before = false;
  /// Time from the end of a reset until the card has read its NVM.
  Duration load_time = std::chrono::milliseconds(1);
  /// What it shares with the other ports of its package; nullptr: it is alone.
  std::shared_ptr<Package> package = nullptr;
  /// The traits of the card; nullptr selects those of `device_id`. They must outlive the card.
  const hw::CardTraits* traits = nullptr;
};

/// A software model of one port of an 82576. Deterministic: it acts only when a register is accessed, a frame arrives
/// or `advance` is called.
class Card final : public DeviceModel {
 public:
  /// The time for which CTRL.RST reads as set. An estimate: Linux igb waits a millisecond before it reads the bit.
  static constexpr Duration kResetTime = std::chrono::microseconds(20);
  /// The default of CardOptions::load_time. Until then EECD.AUTO_RD and EEMNGCTL.CFG_DONE are clear. An estimate.
  static constexpr Duration kLoadTime = std::chrono::milliseconds(1);

  explicit Card(CardOptions options = {});

  [[nodiscard]] PciIdentity identity() const override;
  [[nodiscard]] std::size_t bar_size(unsigned index) const override;
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override;
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override;
  void write_narrow(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;
  void set_dma(ModelDma* dma) noexcept override;
  void set_device_control2(std::uint16_t value) noexcept override { control_.set_device_control2(value); }
  void reset() noexcept override;
  void advance(Duration now) noexcept override {
    dma_.advance(now);
    for (Dma& dma : function_dma_) dma.advance(now);
    timers_.advance(now);
  }
  [[nodiscard]] Duration next_event() const noexcept override {
    return intercepted() ? Duration::min() : timers_.next();
  }
  [[nodiscard]] unsigned interrupt_vectors() const override { return interrupts_.vectors(); }
  [[nodiscard]] MsixLayout msix_layout() const override {
    return {.bar = hw::kMsixBar, .pending = MsixTable::kPendingOffset};
  }
  void on_interrupt(std::function<void(unsigned vector)> handler) override;
  void set_interrupt_mode(InterruptMode mode) noexcept override { interrupts_.set_mode(mode); }
  [[nodiscard]] bool interrupt_pending() const noexcept override { return !removed_ && interrupts_.pin_asserted(); }
  [[nodiscard]] bool wake_requested() const noexcept override { return !removed_ && wake_.requested(); }
  void end_wake_request() noexcept override { wake_.end_request(); }
  void on_transmit(WireHandler handler) override { wire_ = std::move(handler); }
  void on_transmit_corrupt(const WireHandler& handler) override { corrupt_wire_ = handler; }
  void receive(std::span<const std::byte> frame) noexcept override;
  void receive_corrupt(std::span<const std::byte> frame) noexcept override;
  [[nodiscard]] bool can_receive() const noexcept override;
  void set_work_budget(WorkBudget& budget) noexcept override {
    timers_.set_work_budget(budget);
    transmit_.set_work_budget(budget);
    receive_.set_work_budget(budget);
  }
  void set_wire_busy(bool busy) noexcept override { transmit_.hold(Transmit::Hold::wire, busy); }
  void set_carrier(bool present) noexcept override;
  [[nodiscard]] LinkSignal link_signal() const override;
  void set_link_partner(const LinkSignal& partner) noexcept override { phy_.set_partner(partner); }
  void on_link_signal(const SignalHandler& handler) override;
  /// Two cards with the same port number (`lan_id`) cannot be in one package, and do not share it.
  void share_package(DeviceModel& other) override;

  [[nodiscard]] unsigned functions() const override { return traits_.functions; }
  [[nodiscard]] DeviceModel* function(unsigned number) noexcept override {
    return number < functions_.size() ? functions_[number].get() : nullptr;
  }
  void enable_functions(unsigned count) noexcept override;
  [[nodiscard]] bool has_function(unsigned number) const noexcept { return !removed_ && number < enabled_functions_; }
  void set_function_dma(unsigned number, ModelDma* dma) noexcept;
  void reset_function(unsigned number) noexcept;

  /// Removes the card from its slot, or puts it back. A removed card reads all ones, ignores writes and frames, and
  /// accesses no memory. A card that is put back is in its power-on state.
  void set_removed(bool removed);

  [[nodiscard]] const hw::CardTraits& traits() const noexcept { return traits_; }

  // The parts of the card, for tests and for fault injection.
  [[nodiscard]] RegisterFile& registers() noexcept { return registers_; }
  [[nodiscard]] const Dma& dma() const noexcept { return dma_; }
  [[nodiscard]] Nvm& nvm() noexcept { return nvm_; }
  [[nodiscard]] Package& package() noexcept { return semaphores_.package(); }
  [[nodiscard]] Phy& phy() noexcept { return phy_; }
  /// [E-PLL] What the PHY says of its PLL: kPllUnset as after a power-on that failed.
  void set_pll(std::uint16_t value) {
    phy_.set_on_other_page(hw::phy::kPllPage << hw::phy::kPageShift | hw::phy::kPllFrequency, value);
  }
  [[nodiscard]] Control& control() noexcept { return control_; }
  [[nodiscard]] Mailboxes& mailboxes() noexcept { return mailboxes_; }
  [[nodiscard]] bool in_reset() const noexcept { return in_reset_; }
  [[nodiscard]] Interrupts& interrupts() noexcept { return interrupts_; }
  [[nodiscard]] Receive& receiver() noexcept { return receive_; }
  [[nodiscard]] Transmit& transmitter() noexcept { return transmit_; }
  /// The numbers of ignored register writes: those during a reset (CTRL.RST), and those of fewer than 32 bits. A
  /// correct driver makes none.
  [[nodiscard]] std::uint64_t writes_in_reset() const noexcept { return writes_in_reset_; }
  [[nodiscard]] std::uint64_t narrow_writes() const noexcept { return narrow_writes_; }

 private:
  [[nodiscard]] bool intercepted() const noexcept;
  [[nodiscard]] hw::RXPBS::Value initial_receive_buffer() const;
  [[nodiscard]] hw::TXPBS::Value initial_transmit_buffer() const;
  void set_later_defaults();
  void begin_reset(bool function_level);
  void initialise(bool function_level);
  void finish_reset();
  void finish_load();
  void transmitted(std::span<const std::byte> frame);
  void transmitted_corrupt(std::span<const std::byte> frame);
  [[nodiscard]] bool loops_back() const noexcept;
  void link_changed();
  void update_configured();
  [[nodiscard]] std::array<std::uint8_t, 6> flip_for_port(std::array<std::uint8_t, 6> mac) const;

  CardOptions options_;
  const hw::CardTraits& traits_;
  RegisterFile registers_{traits_};
  Timers timers_;
  Dma dma_;
  std::array<Dma, hw::kPools> function_dma_;
  Interrupts interrupts_;
  Mailboxes mailboxes_;
  Statistics statistics_;
  Semaphores semaphores_;
  Nvm nvm_;
  Phy phy_;
  Wake wake_{registers_};
  TimeSync time_{registers_, timers_, interrupts_};
  GeneralTimers general_timers_;
  Receive receive_;
  Transmit transmit_;
  Control control_;
  FlowControl flow_;
  Timers::Id reset_done_;
  Timers::Id load_done_;
  std::vector<std::unique_ptr<Function>> functions_;
  unsigned enabled_functions_ = 0;
  WireHandler wire_;
  WireHandler corrupt_wire_;
  SignalHandler signal_changed_;
  bool in_reset_ = false;
  bool removed_ = false;
  std::uint64_t writes_in_reset_ = 0;
  std::uint64_t narrow_writes_ = 0;
};

/// Creates the card of `sim:number`. Each number has its own MAC address.
[[nodiscard]] std::unique_ptr<DeviceModel> make_card(unsigned number);

/// An in-process card by its name, such as "i350", and how it is made.
struct NamedCard {
  const char* name;
  std::unique_ptr<DeviceModel> (*make)(unsigned number);
};
/// Those besides the 82576.
[[nodiscard]] std::span<const NamedCard> named_cards() noexcept;

}  // namespace pollux::models::igb
