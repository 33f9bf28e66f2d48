// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "servers/vfio_user/server.hpp"

namespace pollux::vfio_user {

/// Runs servers on the calling thread until `stopped` returns true. It is called at least every 100 ms. Errors: those
/// of Clock::wait.
[[nodiscard]] Result<void> serve(Clock& clock, std::span<const std::unique_ptr<Server>> servers,
                                 const std::function<bool()>& stopped);

}  // namespace pollux::vfio_user
