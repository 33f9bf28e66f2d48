// SPDX-License-Identifier: BSD-3-Clause
#include "device/device_events.hpp"

#include <poll.h>

#include <fmt/format.h>

namespace pollux {
namespace {

/// Whether an eventfd has been signalled. -1 never is.
bool is_signalled(int event) {
  pollfd entry{.fd = event, .events = POLLIN, .revents = 0};
  return event >= 0 && ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

}  // namespace

std::vector<int> device_events(const Device* device, int own) {
  if (device == nullptr) return {};
  return {device->error_event(), device->removal_event(), own};
}

Result<void> check_device(const Device& device) {
  if (device.removed()) {
    return fail(ErrorCode::device_removed, fmt::format("{}: the host requests the card's removal", device.name()),
                "close the port");
  }
  if (is_signalled(device.error_event())) {
    return fail(ErrorCode::device_fault, fmt::format("{}: an uncorrected PCI Express error", device.name()),
                "close the port and open it again; the host's log names the error");
  }
  return {};
}

}  // namespace pollux
