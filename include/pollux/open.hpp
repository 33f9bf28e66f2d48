// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string_view>

#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/port.hpp"

namespace pollux {

/// Opens the port that `uri` names, configures and starts it.
///
///     vfio:0000:01:00.0   a card bound to vfio-pci; a bare PCI address means the same
///     sim:0               an in-process 82576; sim:0 and sim:1 are joined by a wire, as are sim:2 and sim:3, ...
///     qtest:0             an 82576 of a QEMU that is started for it, without a guest; joined in the same pairs. An
///                         ordinary user needs nothing but QEMU 8.0 or newer. qtest:0?qemu=PROGRAM names another QEMU,
///                         qtest:0?timeout=MILLISECONDS says how long an answer of its may take (3000). All DMA memory
///                         of the Context then has pages of one size and 2.75 GiB at most.
///
/// Errors: invalid_argument for a URI that is malformed or of no known kind (the hint lists the kinds), not_supported
/// for a card that no driver knows, and those of the backend, of Port::configure and of Port::start.
[[nodiscard]] Result<Port> open(Context& context, std::string_view uri, const PortConfig& config);

/// The same without configuring: the port is left in state `opened`.
[[nodiscard]] Result<Port> open(Context& context, std::string_view uri);

/// Puts the driver that knows the card onto a device of the caller's own: a test's, a decorator's, a benchmark's.
[[nodiscard]] Result<Port> open(Context& context, std::unique_ptr<Device> device);

}  // namespace pollux
