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
#include "pollux/net/settings.hpp"

namespace pollux {

/// Opens the port that `uri` names, configures and starts it.
///
///     vfio:0000:01:00.0   A card bound to vfio-pci. A PCI address without "vfio:" means the same. The access mode is
///                         IOMMUFD if the kernel has it and the user may open it, else the card's IOMMU group.
///                         ?via=iommufd or ?via=group at the end allows only that mode. ?via=noiommu uses no IOMMU: it
///                         needs root and huge pages, and must be opened before memory is allocated from the Context.
///                         The card can then access all memory of the machine, which is logged once. After '&' or '?'
///                         keep=PATH or keep=systemd has an igb card held by a keeper there, from which the next
///                         program continues it after a crash: docs/guide/upgrading.md.
///     sim:0               An in-process card. sim:0 and sim:1 are connected by a wire, as are sim:2 and sim:3, and so
///                         on up to sim:63. A wire may end in a file, a TAP interface or a socket instead, and delay,
///                         lose or reorder frames; the error for an unknown option lists all. sim:0?card=NAME creates
///                         the card model NAME of the Context at both ends of the wire.
///     qtest:0             A card of a QEMU process that is started for it, without a guest. qtest:0 and qtest:1 are
///                         connected, and so on. It needs QEMU 8.0 or newer and no privileges. qtest:0?card=NAME
///                         selects another card, qtest:0?qemu=PROGRAM another QEMU; qtest:0?timeout=MILLISECONDS sets
///                         the longest wait for one of its answers (3000). All DMA memory of the Context then has one
///                         page size and at most 2.75 GiB.
///
/// Software ports have no card. A frame is in another port, the kernel or a file when tx_burst returns, so they have no
/// frames in flight. They have the same states as a card, rings of 8 to 4,096 frames, address filters (except `pcap:`
/// and `null:`), frames of at least 14 bytes, and at most 255 mbufs per frame.
///
///     ring:a:0            One end of a ring within the Context; the other end is ring:a:1. ring:a is connected to
///                         itself. Mbufs are passed without a copy, except those that share bytes with others. It has
///                         up to 8 queues in each direction. The ends may be polled by two threads or one. A full ring
///                         accepts no frames. An end has a link while the other end is started. Frames sent while the
///                         other end is not started are dropped as "tx_no_receiver".
///     pcap:in=FILE,out=FILE
///                         Receives the frames of one capture file and sends to another; either may be omitted. With
///                         pace=real, frames arrive at the intervals of their timestamps. With loop, the input restarts
///                         at its end; otherwise nothing more arrives after it. A burst may block on disk access.
///     tap:NAME            The link partner of the kernel's TAP interface NAME, which is created if it does not exist.
///                         Each frame costs a system call. With tap:NAME?superframes the kernel leaves segmentation to
///                         the program: frames of up to 64 KiB, with the request that SegmentingTx needs.
///     null:               Discards all frames sent and receives none. null:?rx=64 receives an endless stream of frames
///                         of 64 bytes (with FCS). It has up to 16 queues in each direction.
///
/// Errors: invalid_argument if the URI is malformed or its scheme is unknown (the hint lists the schemes),
/// not_supported if no driver knows the card, and those of the backend, of Port::change and of Port::start. A port
/// that fails to start is closed.
/// What the URI says, and virtual functions that are enabled already, are added to `settings`. Each setting is an
/// option of the URI: sim:0?set.mtu=9000,set.vlan_stripping=on,set.rx.0.ring=128. The names are those of settings_text;
/// a value is `on`, `off`, `none` for the default, or as in JSON, and has no comma. It holds over `settings`, and over
/// those with which the program first sets up a port that it has opened by `open_unconfigured`.
[[nodiscard]] POLLUX_API Result<Port> open(Context& context, std::string_view uri, Settings settings = {});

/// Opens and starts a port on `device`, with the driver that knows its card. Use it for a device that the
/// caller made or wrapped. The port owns the device.
[[nodiscard]] POLLUX_API Result<Port> open(Context& context, std::unique_ptr<Device> device, Settings settings = {});

/// Opens a port without queues. It is in state `opened`; call Port::change and Port::start next. Use it if the settings
/// depend on `Port::info`, or to join queues with Port::forward_path.
/// Errors: those of `open`, except those of Port::change and Port::start.
[[nodiscard]] POLLUX_API Result<Port> open_unconfigured(Context& context, std::string_view uri);
/// The same for a device that the caller has opened, and perhaps wrapped.
[[nodiscard]] POLLUX_API Result<Port> open_unconfigured(Context& context, std::unique_ptr<Device> device);

/// Opens the device that `uri` names, without a driver. The caller can wrap it (`with_faults`, `trace_device`) and pass
/// it to `open`, or use it with a driver of its own. Errors: invalid_argument (malformed URI, unknown scheme or a
/// software port; the hint lists the schemes), and those of the backend.
[[nodiscard]] POLLUX_API Result<std::unique_ptr<Device>> open_device(Context& context, std::string_view uri);

/// A card that a driver of the Context knows.
struct SupportedCard {
  std::string driver;  ///< its name
  KnownCard card;      ///< what it is called, and whether it is driven
};
/// All cards that `open` knows, also those that are not supported. The driver that was added last comes first.
[[nodiscard]] POLLUX_API std::vector<SupportedCard> supported_cards(Context& context);

/// Adds a driver to the Context. It has priority over the drivers already there. Error: invalid_argument if it has no
/// name, no card or no probe.
[[nodiscard]] POLLUX_API Result<void> add_driver(Context& context, CardDriver driver);

}  // namespace pollux
