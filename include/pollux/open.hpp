// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"
#include "pollux/net/card_driver.hpp"
#include "pollux/net/port.hpp"

namespace pollux {

/// Opens the port that `uri` names, configures and starts it.
///
///     vfio:0000:01:00.0   a card bound to vfio-pci; a bare PCI address means the same. It is reached through
///                         IOMMUFD where the kernel has that and this user may open it, else through its IOMMU group;
///                         ?via=iommufd or ?via=group at the end insists. ?via=noiommu does without an IOMMU: for root,
///                         with huge pages, opened before memory is allocated from the Context. The card can then
///                         reach all of the machine's memory, which the log says once.
///     sim:0               an in-process 82576; sim:0 and sim:1 are joined by a wire, as are sim:2 and sim:3, ...
///                         sim:0?card=NAME puts another card that the Context knows at both of its ends.
///     qtest:0             an 82576 of a QEMU that is started for it, without a guest; joined in the same pairs. An
///                         ordinary user needs nothing but QEMU 8.0 or newer. qtest:0?qemu=PROGRAM names another QEMU,
///                         qtest:0?timeout=MILLISECONDS says how long an answer of its may take (3000). All DMA memory
///                         of the Context then has pages of one size and 2.75 GiB at most.
///
/// Ports that are no card. Whatever they send is another port's, the kernel's or a file's when tx_burst returns, so
/// nothing of theirs is in flight. What they take for granted of a card they share: the order of states, rings of 8 to
/// 4,096 frames, the filters but for `pcap` and `null`, frames of 14 bytes or more, 255 mbufs a frame.
///
///     ring:a:0            one end of a ring within the Context, whose other end is ring:a:1; ring:a is joined with
///                         itself. Mbufs change hands without a copy (one whose bytes others share is copied), up to 8
///                         queues each way, on two threads or one. A full ring takes no more; what is sent while the
///                         other end is not started is dropped as "tx_no_receiver".
///     pcap:in=FILE,out=FILE
///                         receives the frames of one capture file, sends to another; either may be missing. With
///                         pace=real frames come as far apart as their stamps, with loop the file begins again.
///                         Its bursts may wait for the disk.
///     tap:NAME            the other end of the kernel's TAP interface NAME, which is made if there is none. Each frame
///                         costs a system call.
///     null:               sends into nothing and receives nothing; null:?rx=64 receives frames of 64 bytes (with FCS)
///                         without end, up to 16 queues each way.
///
/// Errors: invalid_argument for a URI that is malformed or of no known kind (the hint lists the kinds), not_supported
/// for a card that no driver knows, and those of the backend, of Port::configure and of Port::start. A port that could
/// not be started is closed again.
[[nodiscard]] POLLUX_API Result<Port> open(Context& context, std::string_view uri, const PortConfig& config = {});

/// The same on a device of the caller's own (a test's, a decorator's, a benchmark's), with the driver that knows its
/// card. The port owns the device.
[[nodiscard]] POLLUX_API Result<Port> open(Context& context, std::unique_ptr<Device> device,
                                           const PortConfig& config = {});

/// Opens the port only: it is in state `opened`, and Port::configure and Port::start come next. For a program that
/// looks at `Port::info` before it decides how many queues it wants, or that joins queues by Port::forward_path.
/// Errors: those of `open`, but for those of Port::configure and Port::start.
[[nodiscard]] POLLUX_API Result<Port> open_unconfigured(Context& context, std::string_view uri);
[[nodiscard]] POLLUX_API Result<Port> open_unconfigured(Context& context, std::unique_ptr<Device> device);

/// Opens the device that `uri` names, for a decorator (`with_faults`, `trace_device`) or a driver of the caller's own:
/// what `open` takes in place of a URI. Errors: invalid_argument (malformed, of no known kind, or a port that is no
/// card; the hint lists the kinds), and those of the backend.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri);

/// A card that a driver of the Context knows.
struct SupportedCard {
  std::string driver;  ///< "igb"
  KnownCard card;
};
/// Every card that `open` knows, driven or not, the drivers added last first.
[[nodiscard]] POLLUX_API std::vector<SupportedCard> supported_cards(Context& context);

/// From now on `open` hands cards of `driver` to it, before it asks those that are there. Error invalid_argument: it
/// has no name, no card or no probe.
[[nodiscard]] POLLUX_API Result<void> add_driver(Context& context, CardDriver driver);

/// From now on `sim:N?card=NAME` is such a card. Error invalid_argument: its name is none, or it cannot be made.
[[nodiscard]] POLLUX_API Result<void> add_card_model(Context& context, CardModel model);

}  // namespace pollux
