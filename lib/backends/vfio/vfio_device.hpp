// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/vfio/device_access.hpp"
#include "backends/vfio/kernel.hpp"
#include "backends/vfio/region.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/pci/device_info.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::vfio {

/// One of a device's interrupt indexes: MSI-X, error or removal request. Each vector signals an eventfd.
/// Does not own the device's descriptor, which outlives this object. The destructor disables the index.
class Interrupts {
 public:
  /// Queries how many vectors index `index` has. Enables none. An index that the device lacks has 0 vectors.
  [[nodiscard]] static Result<Interrupts> probe(const Descriptor& device, const std::string& name, std::uint32_t index);

  Interrupts(Interrupts&& other) noexcept;
  Interrupts& operator=(Interrupts&&) = delete;
  ~Interrupts();

  [[nodiscard]] std::uint32_t available() const noexcept { return available_; }
  /// Enables vectors 0 to `count` - 1 in one call, after it has disabled all of them. A `count` of 0 only disables.
  /// Errors: `invalid_argument` above `available`, `io_error`. After an error no vector is enabled.
  [[nodiscard]] Result<void> enable(std::uint32_t count);
  [[nodiscard]] std::span<const int> events() const noexcept { return numbers_; }
  /// The first vector's event; -1 while it is disabled.
  [[nodiscard]] int event() const noexcept { return numbers_.empty() ? -1 : numbers_.front(); }

 private:
  Interrupts(const Descriptor& device, std::string name, std::uint32_t index, std::uint32_t available)
      : device_(&device), name_(std::move(name)), index_(index), available_(available) {}
  [[nodiscard]] Result<void> disable();
  [[nodiscard]] int set(std::uint32_t flags, std::span<const int> events) const;

  const Descriptor* device_;
  std::string name_;
  std::uint32_t index_;
  std::uint32_t available_;
  std::vector<Descriptor> events_;
  std::vector<int> numbers_;
};

/// A PCI device behind a VFIO descriptor, for every access mode.
class VfioDevice final : public Device {
 public:
  /// Takes ownership of the descriptor and brings the function into a known state: powered, memory decoding on, bus
  /// mastering off, INTx masked, error and removal-request events enabled if the device has them. Errors:
  /// `device_removed`, `not_supported`, `device_fault`, `io_error`, `timeout`.
  [[nodiscard]] static Result<std::unique_ptr<Device>> create(Clock& clock, const pci::DeviceInfo& info,
                                                              OpenedDevice opened, pci::SystemPaths paths);
  ~VfioDevice() override;

  const std::string& name() const override { return name_; }
  PciIdentity identity() const override { return identity_; }
  int numa_node() const override { return numa_node_; }
  Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) override;
  Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) override;
  Result<Bar> bar(unsigned index) override;
  Result<void> set_bus_master(bool enabled) override;
  Result<void> reset() override;
  DmaDomain& dma_domain() override { return opened_.access->dma_domain(); }
  unsigned interrupt_vectors() const override { return parts_->vectors.available(); }
  Result<std::span<const int>> enable_interrupts(unsigned count) override;
  unsigned max_functions() override;
  unsigned functions() override;
  Result<void> set_functions(unsigned count) override;
  int error_event() const override { return parts_->error.event(); }
  int removal_event() const override { return parts_->removal.event(); }
  /// Also true after the host has requested the device back: in both cases the device must be closed.
  bool removed() const override;

 private:
  // Everything that refers to the descriptor: created after it and destroyed before it. Destroyed from last to first.
  struct Parts {
    ConfigSpace config;
    std::array<std::optional<BarWindow>, 6> bars;
    Interrupts removal;
    Interrupts error;
    Interrupts vectors;
  };

  VfioDevice(const pci::DeviceInfo& info, OpenedDevice opened, pci::SystemPaths paths);
  [[nodiscard]] Result<void> describe();
  [[nodiscard]] Result<void> bring_up(Clock& clock);
  [[nodiscard]] Result<void> check_functions_unused() const;

  std::string name_;
  int numa_node_;
  pci::SystemPaths paths_;
  pci::DeviceInfo info_;
  std::filesystem::path attributes_;  // the device's directory in sysfs
  PciIdentity identity_;
  bool resettable_ = false;
  bool mastering_ = false;
  mutable std::atomic<bool> removed_{false};
  OpenedDevice opened_;
  std::optional<Parts> parts_;
};

}  // namespace pollux::vfio
