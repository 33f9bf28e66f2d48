// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::tool::bench {

/// A forwarder as the device under test, in virtual time.
struct ForwarderOptions {
  std::uint64_t rate = 0;    ///< frames per second; 0: it forwards each frame at once
  std::uint32_t queue = 64;  ///< frames that wait for their turn; more are dropped
  std::uint32_t loss = 0;    ///< millionths of the frames that are dropped at random
  std::uint64_t seed = 1;    ///< of the random values
};

/// What lies between the sending and the receiving port.
struct DeviceUnderTest {
  std::optional<ForwarderOptions> forwarder;  ///< empty: what the ports are connected to
};

/// Parses "wire", "forward", or "forward?rate=500kpps,queue=64,loss=0.1%,seed=1", with any of these options.
/// Errors: invalid_argument, which names the part and what is expected.
[[nodiscard]] Result<DeviceUnderTest> parse_device(std::string_view text);

}  // namespace pollux::tool::bench
