// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>

#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/interrupts.hpp"
#include "models/intel/igb/register_file.hpp"
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
class Function final : public DeviceModel {
 public:
  Function(Card& card, unsigned number);

  [[nodiscard]] PciIdentity identity() const override;
  [[nodiscard]] std::size_t bar_size(unsigned index) const override;
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override;
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override;
  void set_dma(ModelDma* dma) noexcept override;
  void reset() noexcept override;
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

  /// The card sends the function's message.
  void message(unsigned vector);

 private:
  static constexpr unsigned kVectors = pollux::hw::igbvf::kMsixVectors;

  [[nodiscard]] bool present() const noexcept;
  [[nodiscard]] std::uint32_t place_in_card(std::uint32_t offset) const noexcept;
  [[nodiscard]] std::uint32_t read_register(std::uint32_t offset);
  void write_register(std::uint32_t offset, std::uint32_t value);
  void write_table(std::uint32_t offset, std::uint32_t value);

  Card& card_;
  unsigned number_;
  std::function<void(unsigned)> send_;
  MsixTable table_{kVectors};
};

}  // namespace pollux::models::igb
