// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/error.hpp"

/// The arguments of ethtool: [--debug MASK] [--json] [-I] [OPTION] DEVICE ...
namespace pollux::tool {

/// The index of the device's name; nullopt if there is none, as in `ethtool --version`.
[[nodiscard]] std::optional<std::size_t> ethtool_device(const std::vector<std::string>& words);

/// Error not_supported: the kernel answers these arguments by netlink only, so no request of them reaches Pollux.
[[nodiscard]] Result<void> check_ethtool_arguments(const std::vector<std::string>& words);

/// Error not_supported: LD_PRELOAD cannot name this file, since it ends a name at a space or a colon. The loader would
/// only warn, and ethtool ask the kernel.
[[nodiscard]] Result<void> check_preload(const std::string& path);

/// The path of ethtool in a list of folders as PATH has it. Error not_found.
[[nodiscard]] Result<std::string> find_ethtool(const std::string& folders);

}  // namespace pollux::tool
