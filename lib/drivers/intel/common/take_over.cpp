// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/common/take_over.hpp"

#include <utility>

#include <fmt/format.h>

namespace pollux::drivers::intel {

Result<Bar> take_over(Device& device, unsigned bar, std::uint32_t bytes) {
  auto window = device.bar(bar);
  if (!window) return window;
  if (window->size() < bytes) {
    return fail(
        ErrorCode::device_fault,
        fmt::format("{}: the register BAR has {} bytes and should have {}", device.name(), window->size(), bytes),
        "the device is not the card that its vendor and device id name");
  }
  if (auto reset = device.reset(); !reset && reset.error().code != ErrorCode::not_supported) {
    return pass_on(std::move(reset));
  }
  return window;
}

}  // namespace pollux::drivers::intel
