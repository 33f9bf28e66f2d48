// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string_view>

namespace pollux {

enum class LogLevel { debug, info, warning, error };

/// Where the library's messages go. It prints nothing by itself: without a callback they are dropped.
/// Called from whichever thread has something to say; never from rx_burst or tx_burst.
using LogCallback = std::function<void(LogLevel level, std::string_view message)>;

}  // namespace pollux
