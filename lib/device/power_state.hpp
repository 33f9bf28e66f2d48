// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"

namespace pollux {

/// Puts a device into power state D3hot, in which only its configuration space may be accessed. With `wake`, it may
/// then raise PME# if its capability says that it can do so from D3hot. Bus mastering must be off. A device without the
/// power management capability, such as a virtual function, stays as it is. PCI Power Management 1.2. Takes 10 ms.
/// Errors: device_removed, device_fault (it stays in D0: it or the platform refuses), and those of configuration space.
[[nodiscard]] Result<void> enter_d3hot(Device& device, Clock& clock, bool wake);

/// Returns a device to D0, clears what it said about PME# and disables it. Takes 10 ms if the device was in another
/// state; it may have lost all settings then. A device without the capability stays as it is. Errors: device_removed,
/// timeout (it does not reach D0 within 100 ms), and those of configuration space.
[[nodiscard]] Result<void> enter_d0(Device& device, Clock& clock);

}  // namespace pollux
