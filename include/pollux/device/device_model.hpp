// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "pollux/base/api.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/device/device.hpp"
#include "pollux/device/model_dma.hpp"

namespace pollux {

/// A card as software, inside the process. It knows nothing of drivers and is reached through a backend.
/// Thread rule: one thread at a time; register accesses and `advance` are the only things that make it work.
class POLLUX_API DeviceModel {
 public:
  DeviceModel() = default;
  DeviceModel(const DeviceModel&) = delete;
  DeviceModel& operator=(const DeviceModel&) = delete;
  virtual ~DeviceModel() = default;

  [[nodiscard]] virtual PciIdentity identity() const = 0;
  [[nodiscard]] virtual std::size_t bar_size(unsigned index) const = 0;
  [[nodiscard]] virtual std::uint32_t read32(unsigned bar, std::uint32_t offset) noexcept = 0;
  virtual void write32(unsigned bar, std::uint32_t offset, std::uint32_t value) noexcept = 0;

  /// Gives the model its way to memory; nullptr while bus mastering is off.
  virtual void set_dma(ModelDma* dma) noexcept = 0;
  /// Function level reset.
  virtual void reset() noexcept = 0;
  /// Lets everything happen that is due at `now`.
  virtual void advance(Duration now) noexcept = 0;
  /// No `advance` to a time before this one does anything. Duration::max(): nothing happens by itself.
  [[nodiscard]] virtual Duration next_event() const noexcept { return Duration::min(); }

  [[nodiscard]] virtual unsigned interrupt_vectors() const = 0;
  /// Called by the model with a vector's number when it sends that interrupt message.
  virtual void on_interrupt(std::function<void(unsigned vector)> handler) = 0;

  /// Called by the model with each frame it puts on its wire (without FCS).
  using WireHandler = std::function<void(std::span<const std::byte> frame)>;
  virtual void on_transmit(WireHandler handler) = 0;
  /// A frame (without FCS) arrives from the wire.
  virtual void receive(std::span<const std::byte> frame) noexcept = 0;
  /// One that was damaged on the way, so that its FCS no longer fits.
  virtual void receive_corrupt(std::span<const std::byte> /*frame*/) noexcept {}
  /// Whether a frame that arrived now would get in: receiving is on and there is room for it. For wires whose other end
  /// can wait.
  [[nodiscard]] virtual bool can_receive() const noexcept { return true; }
  /// The wire has as many frames as it holds: send no more until it is not busy any longer.
  virtual void set_wire_busy(bool /*busy*/) noexcept {}
  /// The wire's other end appears or goes away.
  virtual void set_carrier(bool present) noexcept = 0;
};

}  // namespace pollux
