// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

/// What a card is by its PCI configuration space.
struct PciIdentity {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem_device = 0;
  std::uint8_t revision = 0;
};

/// A PCI card in this process's hands, however it is reached. A driver sees this and nothing of the backend.
/// Ownership: a port owns its Device; Bars and event descriptors belong to the Device and end with it.
/// Thread rule: one thread at a time, except `removed` and the Bars (see Bar).
class POLLUX_API Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  /// Stops bus mastering, takes the card out of its DMA domain and hands it back. Bounded.
  virtual ~Device() = default;

  /// The URI that opens it, such as "vfio:0000:01:00.0".
  [[nodiscard]] virtual const std::string& name() const = 0;
  [[nodiscard]] virtual PciIdentity identity() const = 0;
  /// -1 where unknown.
  [[nodiscard]] virtual int numa_node() const = 0;

  /// Configuration space; `width` is 1, 2 or 4 bytes, `offset` a multiple of it below 4,096.
  [[nodiscard]] virtual Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) = 0;
  [[nodiscard]] virtual Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) = 0;

  /// The window of base address register `index` (0 to 5); mapped on first use, valid as long as the Device.
  [[nodiscard]] virtual Result<Bar> bar(unsigned index) = 0;

  /// Lets the card start DMA, or forbids it. Forbidding returns after the configuration write has taken effect.
  [[nodiscard]] virtual Result<void> set_bus_master(bool enabled) = 0;
  /// Resets the function (FLR or what the backend has in its place). Error not_supported where there is none: the
  /// driver's own register reset is enough then.
  [[nodiscard]] virtual Result<void> reset() = 0;
  /// The translation for the card's DMA. Already attached to the Context when the Device was opened.
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;

  /// MSI-X vectors that the card offers; 0 where the backend brings none.
  [[nodiscard]] virtual unsigned interrupt_vectors() const = 0;
  /// Enables `count` vectors (0 disables all), each signalling an eventfd that poll(2) can wait for. All are enabled at
  /// once: before Linux 6.5 vectors can't be added one by one. The descriptors belong to the Device.
  [[nodiscard]] virtual Result<std::span<const int>> enable_interrupts(unsigned count) = 0;
  /// Raised by the platform on an uncorrected PCI error; -1 where the backend has none.
  [[nodiscard]] virtual int error_event() const { return -1; }
  /// Raised when the host asks for the device back; -1 where the backend has none.
  [[nodiscard]] virtual int removal_event() const { return -1; }
  /// Whether the card is known to be gone. May be called from any thread.
  [[nodiscard]] virtual bool removed() const { return false; }
};

}  // namespace pollux
