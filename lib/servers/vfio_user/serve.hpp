// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "servers/vfio_user/server.hpp"

namespace pollux::vfio_user {

/// Runs servers on the calling thread until `stopped` returns true. It is called at least every 100 ms. Errors: those
/// of Clock::wait.
[[nodiscard]] Result<void> serve(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                                 const std::function<bool()>& stopped);

/// What a thread does besides the servers.
struct OtherWork {
  /// Does what is due. Returns when it has to be called again at the latest, or nothing to end. It is called more
  /// often, at least every 100 ms.
  std::function<std::optional<Time>()> run;
  /// Readable while there is work; -1 if there is none.
  int descriptor = -1;
};

/// Runs servers and other work on the calling thread until that ends. Errors: those of Clock::wait.
[[nodiscard]] Result<void> serve_beside(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                                        const OtherWork& other);

}  // namespace pollux::vfio_user
