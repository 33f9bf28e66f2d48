// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port_driver.hpp"

namespace pollux::ring {

/// Opens one end of a ring within a Context. `which`, the rest of a "ring:" URI: "NAME:0" or "NAME:1", of which each
/// receives what the other sends; or "NAME" alone, which receives what it sends itself. Mbufs change hands without a
/// copy, queue for queue (8 each way at most): nothing is lost, for a full ring takes no more. A ring holds the
/// receiving queue's `ring` of frames; what is sent while the other end is not started, or has no such queue, is
/// dropped as "tx_no_receiver". The ends may be polled by two threads. Errors: invalid_argument (the name), busy (that
/// end, or the name as the other kind, is open).
[[nodiscard]] Result<std::unique_ptr<PortDriver>> open_ring(Context& context, std::string_view which);

}  // namespace pollux::ring
