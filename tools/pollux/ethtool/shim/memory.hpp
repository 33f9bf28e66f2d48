// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>

#include "port.hpp"

namespace pollux::ethtool {

/// Bytes of the dump of the port's registers; 0: it has none.
[[nodiscard]] std::uint32_t register_bytes(Port& port);

/// The dump that ethtool decodes where the driver has the name igb.
constexpr std::uint32_t kIgbDumpBytes = 2960;

struct NvmSummary {
  std::uint32_t bytes = 0;   ///< 0: there is no NVM
  std::string version = {};  ///< of its image
};
[[nodiscard]] NvmSummary nvm_summary(Port& port);

}  // namespace pollux::ethtool
