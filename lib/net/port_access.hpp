// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>

#include "pollux/net/port.hpp"

namespace pollux {

class PortCore;

/// For layers that keep a reference to a port which its owner may destroy meanwhile: PortCore::is_retired.
struct PortAccess {
  [[nodiscard]] static const std::shared_ptr<PortCore>& core(const Port& port) noexcept { return port.core_; }
};

}  // namespace pollux
