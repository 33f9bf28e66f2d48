// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "drivers/paravirtual/port.hpp"
#include "drivers/virtio/net/transport.hpp"
#include "hw/virtio/features.hpp"
#include "mem/context_state.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/link.hpp"

namespace pollux::drivers::virtio {

namespace reg = hw::virtio;
namespace feature = hw::virtio::feature;
using hw::virtio::Features;

/// The device as the steps of the driver see it. Must not outlive the Device.
struct VirtioNetCard {
  Transport transport;
  std::shared_ptr<ContextState> context;
  std::string name;       ///< the port's URI, for messages
  Features features = 0;  ///< negotiated since the last reset

  [[nodiscard]] bool has(Features any) const noexcept { return (features & any) != 0; }
  [[nodiscard]] const reg::CommonRegisters& common() const noexcept { return transport.common(); }
  [[nodiscard]] Clock& clock() const noexcept { return context->clock(); }
  void log(LogLevel level, std::string_view message) const { context->log(level, name, message); }
};

using paravirtual::fail_removed;

/// The device's configuration: VIRTIO 1.2, 5.1.4 "Device configuration layout".
struct NetConfig {
  MacAddress mac{};           ///< random without MAC
  std::uint32_t max_mtu = 0;  ///< bytes; the greatest that a port can have without MTU
  std::uint32_t max_pairs = 1;
  std::uint32_t rss_table = 0;   ///< entries, a power of two; 0 without RSS
  std::uint32_t hash_types = 0;  ///< hw::virtio::hash_type
};

/// Resets the device and waits until that is done. Errors: device_removed, timeout.
[[nodiscard]] Result<void> reset_device(VirtioNetCard& card);

/// Resets the device and negotiates features: those that it offers and the driver takes, without `refused`. Errors:
/// not_supported (no VERSION_1), device_fault (the device refuses them), device_removed, timeout.
[[nodiscard]] Result<void> negotiate(VirtioNetCard& card, Features refused);

/// What lets the device leave frames unsegmented, which then need several buffers.
inline constexpr Features kSuperframes =
    feature::kGuestTso4 | feature::kGuestTso6 | feature::kGuestEcn | feature::kGuestUso4 | feature::kGuestUso6;

/// Sets FAILED, so that the device knows that its driver gave up (2.1.1).
void give_up(const VirtioNetCard& card) noexcept;

/// Reads the device's configuration, all of it with one generation. Error device_fault: it changes all the time.
[[nodiscard]] Result<NetConfig> read_config(const VirtioNetCard& card);
/// The link, and whether the device asks for announcements of the port's addresses.
struct LinkStatus {
  Link link;
  bool announce = false;
};
[[nodiscard]] LinkStatus read_link(const VirtioNetCard& card) noexcept;

/// The most descriptors of a queue; 0: the device does not have it.
[[nodiscard]] std::uint32_t queue_limit(const VirtioNetCard& card, std::uint16_t queue) noexcept;

/// False for a queue that was reset.
[[nodiscard]] bool is_enabled(const VirtioNetCard& card, std::uint16_t queue) noexcept;

/// Gives the device a queue and enables it. `vector`: MSI-X, or kNoVector. Errors: device_fault (the device does not
/// take the queue), device_removed.
[[nodiscard]] Result<Notifier> enable_queue(const VirtioNetCard& card, std::uint16_t queue, const Virtqueue& memory,
                                            std::uint32_t vector);

/// Resets one queue (RING_RESET). Afterwards the device does not use its memory. Errors: device_removed, timeout.
[[nodiscard]] Result<void> reset_queue(const VirtioNetCard& card, std::uint16_t queue);

/// The device begins to work.
[[nodiscard]] Result<void> set_driver_ok(const VirtioNetCard& card);

}  // namespace pollux::drivers::virtio
