// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <string_view>

namespace pollux {

/// What a message is about: `error`, something failed; `warning`, something works, but not as asked for or not well;
/// `info`, what the library chose or changed; `debug`, details for developers of drivers.
enum class LogLevel { debug, info, warning, error };

/// Receives the library's messages. The library prints nothing; without a callback, messages are dropped. Called from
/// any thread, but never from rx_burst or tx_burst. It must not throw, since destructors call it, too.
using LogCallback = std::function<void(LogLevel level, std::string_view message)>;

}  // namespace pollux
