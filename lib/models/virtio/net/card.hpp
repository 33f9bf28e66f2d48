// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "hw/virtio/ids.hpp"
#include "hw/virtio/pci.hpp"
#include "models/virtio/net/control.hpp"
#include "models/virtio/net/core.hpp"
#include "models/virtio/net/msix_table.hpp"
#include "models/virtio/net/passing.hpp"
#include "models/virtio/net/receive.hpp"
#include "models/virtio/net/transmit.hpp"
#include "pollux/device/device_model.hpp"

namespace pollux::models::virtio {

/// A software model of a virtio network device over PCI (1af4:1041), without the legacy interface. Deterministic: it
/// acts only when a register is accessed, a frame arrives or `advance` is called. VIRTIO 1.3, 2, 4.1 and 5.1.
class Card final : public DeviceModel {
 public:
  /// The layout of QEMU's virtio-net-pci with disable-legacy=on.
  static constexpr unsigned kMsixBar = 1;
  static constexpr unsigned kBar = 4;
  static constexpr std::uint32_t kCommon = 0x0000;
  static constexpr std::uint32_t kIsr = 0x1000;
  static constexpr std::uint32_t kDevice = 0x2000;
  static constexpr std::uint32_t kNotify = 0x3000;
  static constexpr std::uint32_t kStructBytes = 0x1000;
  static constexpr std::uint32_t kNotifyMultiplier = 4;

  explicit Card(const CardOptions& options = {});
  ~Card() override { incoming_->receiver_is_gone(); }

  [[nodiscard]] PciIdentity identity() const override;
  [[nodiscard]] std::size_t bar_size(unsigned index) const override;
  [[nodiscard]] std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept override {
    return read_narrow(bar, offset, 4);
  }
  void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept override {
    write_narrow(bar, offset, 4, value);
  }
  // Accesses of any width, 4 bytes too.
  [[nodiscard]] std::uint32_t read_narrow(unsigned bar, std::uint32_t offset, unsigned width) noexcept override;
  void write_narrow(unsigned bar, std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;
  [[nodiscard]] std::vector<VendorCapability> vendor_capabilities() const override;
  [[nodiscard]] std::uint32_t read_capability(std::uint32_t offset, unsigned width) noexcept override;
  void write_capability(std::uint32_t offset, unsigned width, std::uint32_t value) noexcept override;

  void set_dma(ModelDma* dma) noexcept override;
  void reset() noexcept override;
  void advance(Duration now) noexcept override;
  [[nodiscard]] Duration next_event() const noexcept override {
    return resume_ != 0 ? std::min(resume_at_, core_.next_event()) : core_.next_event();
  }
  [[nodiscard]] unsigned interrupt_vectors() const override { return 2U * core_.options.pairs + 2; }
  [[nodiscard]] MsixLayout msix_layout() const override {
    return {.bar = kMsixBar, .pending = MsixTable::kPendingOffset};
  }
  void on_interrupt(std::function<void(unsigned vector)> handler) override { send_ = std::move(handler); }
  void set_interrupt_mode(InterruptMode mode) noexcept override { mode_ = mode; }
  [[nodiscard]] bool has_msi() const noexcept override { return false; }
  [[nodiscard]] bool interrupt_pending() const noexcept override { return isr_ != 0; }
  void on_transmit(WireHandler handler) override { wire_ = std::move(handler); }
  void receive(std::span<const std::byte> frame) noexcept override;
  [[nodiscard]] bool can_receive() const noexcept override { return receive_.can_receive(); }
  void set_wire_busy(bool busy) noexcept override;
  void set_work_budget(WorkBudget& budget) noexcept override { core_.budget = &budget; }
  /// [I-V-PASS] Two such devices on a wire pass partial checksums and long frames on, as two of QEMU's do.
  void share_package(DeviceModel& other) override;
  void set_carrier(bool present) noexcept override;

  /// The device asks the driver to announce itself on the network, as after a migration (5.1.6.5.4).
  void announce();
  // The parts of the card, for tests.
  [[nodiscard]] const Counters& counters() const noexcept { return core_.counters; }
  [[nodiscard]] std::string_view last_failure() const noexcept { return core_.last_failure; }
  [[nodiscard]] hw::Features negotiated() const noexcept { return core_.features; }

 private:
  // The common configuration (common.cpp).
  [[nodiscard]] std::vector<std::uint8_t> common_image() const;
  void write_common(std::uint32_t offset, unsigned width, std::uint32_t value);
  void write_status(std::uint8_t value);
  [[nodiscard]] bool accepts_features() const;
  void write_queue(std::uint32_t offset, unsigned width, std::uint32_t value);
  void write_queue_size(Queue& queue, std::uint32_t value);
  void enable_queue(Queue& queue);
  void reset_queue(Queue& queue);
  [[nodiscard]] Queue* selected();
  [[nodiscard]] std::uint16_t accept_vector(std::uint32_t value) const;
  void ignore() { ++core_.counters.ignored_writes; }
  // The device's configuration (common.cpp).
  [[nodiscard]] std::vector<std::uint8_t> device_image() const;
  [[nodiscard]] std::uint32_t read_image(const std::vector<std::uint8_t>& image, std::uint32_t offset, unsigned width);
  void config_changed();

  struct Access {
    unsigned bar;
    std::uint32_t offset;
    std::uint32_t width;
  };
  [[nodiscard]] std::optional<Access> window_access() const;
  void notify(std::uint32_t offset, unsigned width, std::uint32_t value);
  void work(std::uint16_t queue);
  /// True if the queue may have more to do.
  [[nodiscard]] bool work_on(std::uint16_t queue);
  void work_on_all();
  void reset_device();
  void tell(std::uint16_t vector, std::uint8_t cause);
  void send_message(unsigned vector);
  [[nodiscard]] bool pass(const hw::NetHeader& header, std::span<const std::byte> frame);
  void transmit(std::span<const std::byte> frame);

  Core core_;
  Receive receive_;
  Transmit transmit_;
  Control control_;
  MsixTable table_;
  std::shared_ptr<Incoming> incoming_ = std::make_shared<Incoming>(core_);
  std::shared_ptr<Incoming> peer_;  // of the device at the other end; absent if that is something else
  InterruptMode mode_ = InterruptMode::msix;
  std::function<void(unsigned)> send_;
  WireHandler wire_;
  bool carrier_ = false;
  std::uint64_t resume_ = 0;        // queues with more work, bits by index
  std::uint16_t resume_first_ = 0;  // of them, so that each has its turn
  Duration resume_at_{0};

  std::uint8_t status_ = 0;
  std::uint32_t device_feature_select_ = 0;
  std::uint32_t driver_feature_select_ = 0;
  hw::Features driver_features_ = 0;
  std::uint16_t config_vector_ = hw::kNoVector;
  std::uint16_t queue_select_ = 0;
  std::uint8_t generation_ = 0;
  bool config_changed_ = false;  // since the driver has read the device's configuration
  std::uint8_t isr_ = 0;
  bool announcing_ = false;
  bool lying_config_ = false;
  std::array<std::uint8_t, hw::cap::kAccessBytes> window_{};  // the capability for access through configuration space
};

/// Creates the cards of `sim:number`, each with its own MAC address. `options`: see CardOptions::parse, and its error.
[[nodiscard]] Result<std::function<std::unique_ptr<DeviceModel>(unsigned number)>> card_maker(std::string_view options);

}  // namespace pollux::models::virtio
