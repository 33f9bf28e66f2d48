// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "pollux/base/api.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// One thing that a driver did with its Device.
struct TraceEntry {
  enum class Kind : std::uint8_t { read, write, config_read, config_write, bus_master, reset, interrupts };

  Kind kind = Kind::read;
  unsigned bar = 0;          ///< of a register
  std::uint32_t offset = 0;  ///< of a register or in configuration space, in bytes
  std::uint32_t value = 0;   ///< read or written; whether bus mastering is on; the number of interrupt vectors
  bool worked = true;        ///< whether the call returned no error

  [[nodiscard]] bool operator==(const TraceEntry&) const noexcept = default;
};

/// Called after each thing that the driver does, with what came of it.
using TraceSink = std::function<void(const TraceEntry&)>;

/// Shows `sink` each access to `inner`, in the order in which they happen. The result's register windows are remote,
/// whatever the inner ones are.
/// Thread rule: `sink` is called on the thread that makes the access, and must not throw.
[[nodiscard]] POLLUX_API std::unique_ptr<Device> trace_device(std::unique_ptr<Device> inner, TraceSink sink);

}  // namespace pollux
