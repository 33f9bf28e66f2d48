// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/bar.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux {

class DeviceHandover;

/// The identification registers of a card's PCI configuration space.
struct PciIdentity {
  /// As in configuration space.
  ///@{
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::uint16_t subsystem_vendor = 0;
  std::uint16_t subsystem_device = 0;
  std::uint8_t revision = 0;
  ///@}
};

/// A PCI card that this process controls. Each backend implements this interface; a driver depends on nothing else.
/// Ownership: a port owns its Device. Bars and event descriptors belong to the Device and are valid as long as it is.
/// Thread rule: one thread at a time, except `removed` and the Bars (see Bar).
class POLLUX_API Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  /// Disables bus mastering, detaches the card from its DMA domain and releases it. Takes a bounded time.
  virtual ~Device() = default;

  /// The URI that opens this device, such as "vfio:0000:01:00.0".
  [[nodiscard]] virtual const std::string& name() const = 0;
  /// As it was when the device was opened.
  [[nodiscard]] virtual PciIdentity identity() const = 0;
  /// The NUMA node of the card; -1 if unknown.
  [[nodiscard]] virtual int numa_node() const = 0;

  /// Accesses configuration space. `width` is 1, 2 or 4 bytes; `offset` is a multiple of `width` and below 4,096.
  ///@{
  [[nodiscard]] virtual Result<std::uint32_t> read_config(std::uint32_t offset, unsigned width) = 0;
  [[nodiscard]] virtual Result<void> write_config(std::uint32_t offset, unsigned width, std::uint32_t value) = 0;
  ///@}

  /// The window of base address register `index` (0 to 5). It is mapped on first use and valid as long as the Device.
  [[nodiscard]] virtual Result<Bar> bar(unsigned index) = 0;

  /// Enables or disables DMA by the card. When it disables DMA, it returns after the configuration write took effect.
  [[nodiscard]] virtual Result<void> set_bus_master(bool enabled) = 0;
  /// Resets the function: by an FLR, or by the backend's equivalent. Error: not_supported if the backend has neither;
  /// the driver's own register reset is then sufficient.
  [[nodiscard]] virtual Result<void> reset() = 0;
  /// The domain that translates the card's DMA. It was attached to the Context when the Device was opened.
  [[nodiscard]] virtual DmaDomain& dma_domain() = 0;

  /// Number of MSI-X vectors of the card; 0 if the backend supports no interrupts.
  [[nodiscard]] virtual unsigned interrupt_vectors() const = 0;
  /// Enables `count` vectors; 0 disables all. Each vector signals an eventfd, which poll(2) can wait for. One call
  /// enables all vectors, because Linux before 6.5 cannot add vectors one by one. The Device owns the descriptors.
  [[nodiscard]] virtual Result<std::span<const int>> enable_interrupts(unsigned count) = 0;
  /// How many virtual functions (SR-IOV) the card can have; 0: none, or the backend cannot enable them.
  [[nodiscard]] virtual unsigned max_functions() { return 0; }
  /// How many virtual functions are enabled.
  [[nodiscard]] virtual unsigned functions() { return 0; }
  /// Enables the first `count` virtual functions; 0 disables all. They can be opened from then on. Their number can
  /// only change from or to 0. Errors: not_supported, invalid_argument (more than max_functions), busy, and those of
  /// the platform.
  [[nodiscard]] virtual Result<void> set_functions(unsigned count);
  /// The eventfd that the platform signals on an uncorrected PCI error; -1 if the backend has none.
  [[nodiscard]] virtual int error_event() const { return -1; }
  /// The eventfd that is signalled when the host asks for the device to be released; -1 if the backend has none.
  [[nodiscard]] virtual int removal_event() const { return -1; }
  /// Whether the card is known to have been removed. May be called from any thread.
  [[nodiscard]] virtual bool removed() const { return false; }

  /// When a card that acts only during accesses (an in-process card) needs the next one.
  struct Wakeup {
    Time at = Time::max();  ///< on the Context's clock
    int descriptor = -1;    ///< or when this is readable
  };
  /// What to wait for before the next flush of a Bar. A card that acts by itself needs none. May be called from any
  /// thread.
  [[nodiscard]] virtual Wakeup next_wakeup() const { return {}; }
  /// For a port that goes on in another program: how the card gets there; nullptr: it cannot.
  [[nodiscard]] virtual DeviceHandover* handover() { return nullptr; }
};

inline Result<void> Device::set_functions(unsigned /*count*/) {
  return fail(ErrorCode::not_supported, name() + ": virtual functions cannot be enabled through this backend",
              "use a card of vfio: or sim:");
}

}  // namespace pollux
