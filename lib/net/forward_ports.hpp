// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "net/port_core.hpp"
#include "pollux/net/forward_path.hpp"

namespace pollux {

/// The two ports of a forward path, which may be the same port.
class ForwardPorts {
 public:
  ForwardPorts(std::shared_ptr<PortCore> in, std::shared_ptr<PortCore> out) noexcept
      : in_(std::move(in)), out_(std::move(out)) {}

  /// No control call of either port runs while the result exists.
  [[nodiscard]] ForwardPath::ControlLocks lock() const;

 private:
  std::shared_ptr<PortCore> in_;
  std::shared_ptr<PortCore> out_;
};

}  // namespace pollux
