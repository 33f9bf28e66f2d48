// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "hw/intel/igb/ids.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igbvf/registers.hpp"
#include "models/intel/igb/register_file.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::igb {

/// The BAR of the MSI-X vectors of a physical or virtual function: the table, and the pending bits behind it. The
/// address and data of a message are stored only. PCI Local Bus Specification 3.0, 6.8.2.
class MsixTable {
 public:
  static constexpr std::uint32_t kPendingOffset = 0x2000;
  static constexpr std::uint32_t kBarBytes = 0x4000;

  explicit MsixTable(unsigned vectors);

  /// Masks all vectors. None is pending.
  void reset();
  /// Whether the message is sent now. Otherwise the vector is masked and becomes pending.
  [[nodiscard]] bool request(unsigned vector);
  [[nodiscard]] std::uint32_t read(std::uint32_t offset) const;
  /// Returns the vector that was pending and is no longer masked. Its message is due.
  [[nodiscard]] std::optional<unsigned> write(std::uint32_t offset, std::uint32_t value);
  void clear_pending(std::uint32_t vectors) noexcept { pending_ &= ~vectors; }

 private:
  [[nodiscard]] bool masked(unsigned vector) const noexcept;

  std::vector<std::uint32_t> words_;
  std::uint32_t pending_ = 0;
};

/// Interrupt causes, masks, vectors and moderation, and the MSI-X table in BAR 3. The order of events follows QEMU,
/// igb_core.c.
class Interrupts {
 public:
  Interrupts(RegisterFile& registers, Timers& timers, const hw::CardTraits& traits, unsigned vectors);

  void reset(bool function_level);
  void on_message(std::function<void(unsigned vector)> handler) { send_ = std::move(handler); }
  void set_mode(InterruptMode mode) noexcept { mode_ = mode; }
  /// Whether a cause asserts the interrupt pin: one of ICR and IMS, without GPIE.MSIX_MODE.
  [[nodiscard]] bool pin_asserted() const { return !msix_mode() && pending_legacy() != 0; }
  [[nodiscard]] unsigned vectors() const noexcept { return vectors_; }

  void set_functions(unsigned count) noexcept { functions_ = count; }  // the first `count` virtual functions exist
  [[nodiscard]] bool belongs_to_function(std::uint32_t queue) const noexcept { return hw::pool_of(queue) < functions_; }
  void on_function_message(std::function<void(unsigned function, unsigned vector)> handler) {
    send_to_function_ = std::move(handler);
  }
  /// The registers of a virtual function, with bit n for its vector n.
  enum class Extended : std::uint8_t { set, mask, mask_clear, auto_clear, auto_mask, cause };
  [[nodiscard]] std::uint32_t read_function(unsigned function, Extended which);
  void write_function(unsigned function, Extended which, std::uint32_t value);
  void reset_function(unsigned function);
  /// The vectors of a function's queues (VTIVAR) and of its mailbox (VTIVAR_MISC).
  struct FunctionVectors {
    std::uint32_t queues = 0;
    std::uint32_t mailbox = 0;
  };
  [[nodiscard]] FunctionVectors& function_vectors(unsigned function) { return function_vectors_[function]; }
  void raise_mailbox_of(unsigned function);
  /// [I-M-VFVECTOR] The card's last three vectors are those of function 0, the three before them those of function 1,
  /// and so on: QEMU, igb_core.c, igb_msix_notify.
  [[nodiscard]] static std::uint32_t first_vector(unsigned function) noexcept {
    return hw::kMsixVectors - (function + 1) * kFunctionVectors;
  }

  /// Raises causes that do not belong to a queue. `causes` are bits of ICR.
  void raise(hw::ICR::Setting causes);
  void raise_receive(std::uint32_t queue);
  void raise_tcp_timer();
  void raise_transmit(std::uint32_t queue);
  /// The moderation interval of a queue's vector; none if the queue has no vector.
  [[nodiscard]] std::optional<Duration> receive_interval(std::uint32_t queue) const;
  [[nodiscard]] std::optional<Duration> transmit_interval(std::uint32_t queue) const;

  [[nodiscard]] std::uint32_t read_table(std::uint32_t offset) const { return table_.read(offset); }
  void write_table(std::uint32_t offset, std::uint32_t value);

 private:
  static constexpr std::uint32_t kFunctionVectors = pollux::hw::igbvf::kMsixVectors;
  /// The function that has a vector; kPools for vector 0, which always belongs to the card.
  [[nodiscard]] static unsigned function_of(std::uint32_t vector) noexcept {
    return (hw::kMsixVectors - 1 - vector) / kFunctionVectors;
  }
  [[nodiscard]] std::uint32_t function_bits() const;
  [[nodiscard]] std::uint32_t entry_of_function(std::uint32_t queue, unsigned shift) const;
  template <class R>
  void change_bits(std::uint32_t mask, std::uint32_t bits) {
    registers_.set<R>(typename R::Value((registers_.get<R>().raw() & ~mask) | (bits & mask)));
  }
  void unmask(std::uint32_t bits);
  void install_function_hooks();
  [[nodiscard]] bool msix_mode() const;
  [[nodiscard]] std::uint32_t entry_of(std::uint32_t queue, unsigned shift) const;
  [[nodiscard]] std::uint32_t receive_entry(std::uint32_t queue) const;  // its IVAR byte, in bits 7:0
  [[nodiscard]] std::uint32_t transmit_entry(std::uint32_t queue) const;
  [[nodiscard]] std::optional<Duration> interval_of(std::uint32_t entry) const;
  [[nodiscard]] std::uint32_t pending_legacy() const;
  [[nodiscard]] std::uint32_t pending_extended() const;
  /// Sends messages for causes that are pending now, but are not in `legacy_before` or `extended_before`.
  void notify(std::uint32_t legacy_before, std::uint32_t extended_before);
  template <class R>
  void add(std::uint32_t bits);
  void raise_extended(std::uint32_t bits);
  void request(unsigned vector);
  void send_message(unsigned vector);
  void clear_masks_by_iam();
  [[nodiscard]] std::uint32_t read_icr();
  void install_legacy_hooks();
  void install_extended_hooks();

  RegisterFile& registers_;
  Timers& timers_;
  std::uint32_t ivar_distance_;
  unsigned vectors_;
  InterruptMode mode_ = InterruptMode::msix;
  std::function<void(unsigned)> send_;
  std::function<void(unsigned, unsigned)> send_to_function_;
  std::array<FunctionVectors, hw::kPools> function_vectors_{};
  unsigned functions_ = 0;
  MsixTable table_{hw::kMsixVectors};
  std::uint32_t postponed_ = 0;  // vectors whose message is sent at the end of their interval
  std::array<Timers::Id, hw::kMsixVectors> interval_{};
};

}  // namespace pollux::models::igb
