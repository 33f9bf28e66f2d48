// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "pollux/base/api.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// One operation of a driver on its Device.
struct TraceEntry {
  /// Registers, configuration space, bus mastering, function level reset, and enabling or disabling of interrupt
  /// vectors.
  enum class Kind : std::uint8_t { read, write, config_read, config_write, bus_master, reset, interrupts };

  Kind kind = Kind::read;    ///< what the driver did
  unsigned bar = 0;          ///< the BAR of a register
  std::uint32_t offset = 0;  ///< of a register or in configuration space, in bytes
  unsigned width = 4;        ///< of an access to a register or to configuration space, in bytes
  std::uint32_t value = 0;   ///< read or written; 1 if bus mastering is enabled; the number of interrupt vectors
  bool worked = true;        ///< whether the call succeeded

  [[nodiscard]] bool operator==(const TraceEntry&) const noexcept = default;
};

/// Called after each operation, with its result.
using TraceSink = std::function<void(const TraceEntry&)>;

/// Wraps `inner` in a device that calls `sink` for each operation, in order. The register windows of the result are
/// remote.
/// Thread rule: `sink` is called on the thread that accesses the device. It must not throw.
[[nodiscard]] POLLUX_API std::unique_ptr<Device> trace_device(std::unique_ptr<Device> inner, TraceSink sink);

}  // namespace pollux
