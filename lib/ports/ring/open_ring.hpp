// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::ring {

/// Opens one end of a ring within a Context. `which` is the rest of a "ring:" URI. "NAME:0" and "NAME:1" receive what
/// the other sends; "NAME" alone receives what it sends itself. Queue N sends to queue N of the other end, with at most
/// 8 queues in each direction. Mbufs are passed without a copy. A ring holds as many frames as the receiving queue's
/// `ring`; a full ring accepts no more, so no frame is lost. Frames are dropped as "tx_no_receiver" if the other end is
/// not started or has no such queue. Two threads may poll the two ends. Errors: invalid_argument (the name), busy (this
/// end is open, or the name is open as a pair or loop).
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_ring(Context& context, std::string_view which);

}  // namespace pollux::ring
