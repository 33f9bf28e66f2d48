// SPDX-License-Identifier: BSD-3-Clause

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mem/mempool_core.hpp"
#include "net/config_check.hpp"
#include "net/frame_size.hpp"
#include "net/settings_check.hpp"

namespace pollux {
namespace {

tl::unexpected<Error> cannot(const PortInfo& port, std::string what, std::string hint) {
  return fail(ErrorCode::not_supported, fmt::format("{}: {}", port.name, what), std::move(hint));
}

Result<void> check_copying(const std::string& prefix, const RxQueueConfig& config, PlacedRxQueue& queue,
                           const PortInfo& port, const ContextState& context) {
  if (config.copy_break == 0) {
    if (!config.copy_pool) return {};
    return refuse(port.name, fmt::format("{0}copy_pool is set, but {0}copy_break is 0", prefix),
                  fmt::format("set {}copy_break to the longest frame that is copied", prefix));
  }
  if (!port.limits.copy_break) {
    return cannot(port, fmt::format("{}copy_break is not supported", prefix),
                  "a port in software copies its frames anyway; leave copy_break at 0");
  }
  if (config.copy_pool) {
    queue.copy_pool = config.copy_pool.core();
    if (auto owner = check_pool_owner(prefix + "copy_pool", *queue.copy_pool, port, context); !owner) return owner;
  }
  const MempoolCore* const pool = queue.copy_pool != nullptr ? queue.copy_pool.get() : queue.pool.get();
  const std::uint32_t room = pool != nullptr ? pool->options().data_room : MempoolOptions{}.data_room;
  if (config.copy_break > room) {
    return refuse(
        port.name,
        fmt::format("{}copy_break = {} is more than the {} bytes of a copy's mbuf", prefix, config.copy_break, room),
        "lower copy_break, or create copy_pool with a larger data_room");
  }
  queue.copy_break = config.copy_break;
  return {};
}

// A pool's data_room is never less than a unit: Mempool::create.
Result<void> check_splitting(const std::string& prefix, const RxQueueConfig& config, PlacedRxQueue& queue,
                             const PortInfo& port, const ContextState& context) {
  if (!config.header_pool) return {};
  const PortLimits& limits = port.limits;
  if (limits.max_header == 0) {
    return cannot(
        port, fmt::format("{}header_pool is not supported: {} does not split headers from frames", prefix, port.card),
        "leave it unset; frames then arrive whole");
  }
  if (config.copy_break != 0) {
    return refuse(port.name, fmt::format("{0}header_pool and {0}copy_break are both set", prefix),
                  "leave one of them: split headers already lie in small mbufs");
  }
  queue.header_pool = config.header_pool.core();
  if (auto owner = check_pool_owner(prefix + "header_pool", *queue.header_pool, port, context); !owner) return owner;
  const std::uint32_t room = std::min(queue.header_pool->options().data_room, limits.max_header);
  queue.header_bytes = room / limits.header_unit * limits.header_unit;
  return {};
}

Result<void> check_drop_enable(const std::string& prefix, std::optional<bool> wish, const PortInfo& port) {
  if (!wish || port.limits.drop_enable == DropChoice::any) return {};
  if (port.limits.drop_enable == DropChoice::none) {
    return cannot(port, fmt::format("{}drop_enable is not supported: the port has no packet buffer of a card", prefix),
                  "leave drop_enable unset");
  }
  if (*wish) return {};
  return cannot(port, fmt::format("{}drop_enable = false is not supported", prefix),
                "leave it unset: a virtual function's queue that waits would hold up the queues of all functions");
}

Result<void> check_thresholds(const std::string& prefix, const std::optional<QueueThresholds>& thresholds,
                              const PortInfo& port) {
  if (!thresholds) return {};
  if (!port.limits.max_thresholds) {
    return cannot(port, fmt::format("{}thresholds are not supported: no card fetches descriptors", prefix),
                  "leave them unset");
  }
  const QueueThresholds& max = *port.limits.max_thresholds;
  const auto check = [&](const char* field, unsigned value, unsigned limit, const char* hint) -> Result<void> {
    if (value <= limit) return {};
    return refuse(port.name, fmt::format("{}thresholds.{} = {} is more than {}", prefix, field, value, limit), hint);
  };
  if (auto fits = check("prefetch", thresholds->prefetch, max.prefetch, "8 suits most uses"); !fits) return fits;
  if (auto fits = check("host", thresholds->host, max.host, "8 suits most uses"); !fits) return fits;
  return check("write_back", thresholds->write_back, max.write_back,
               "use 1: with more, done descriptors wait for later ones, and a polled queue would stall");
}

// A ring that does not hold the longest frame that its card may receive would never receive anything after it. How a
// device without bad frames uses its buffers is for its driver to say.
Result<void> check_bad_frames_fit(std::uint64_t buffers, const PlacedSettings& settings, std::size_t index,
                                  const PortInfo& port) {
  if (!settings.keep_bad_frames) return {};
  const PlacedRxQueue& queue = settings.queues.rx[index];
  const std::uint32_t frame = port.limits.max_rx_frame + kept_fcs_bytes(settings);
  if (frame <= buffers * queue.buffer_bytes) return {};
  return refuse(
      port.name,
      fmt::format("a frame of {} bytes, which may arrive with keep_bad_frames, does not fit receive queue {}, "
                  "whose ring = {} has at most {} buffers of {}",
                  frame, index, queue.ring, buffers, queue.buffer_bytes),
      "use a larger ring or a pool with a larger data_room");
}

// `size` is one of the two; 0 leaves it as it is.
Result<void> check_packet_buffer(const char* field, std::uint32_t size, std::uint32_t min, std::uint32_t max,
                                 const PortInfo& port) {
  const std::uint32_t unit = port.limits.packet_buffers.unit;
  if (size == 0 || (size >= min && size <= max && size % unit == 0)) return {};
  return refuse(
      port.name,
      fmt::format("packet_buffers.{} = {} is not a multiple of {} from {} to {}", field, size, unit, min, max),
      fmt::format("the largest is what the card has, the smallest holds its longest frames; 0 leaves the size "
                  "as it is"));
}

}  // namespace

Result<void> check_packet_buffers(const SettingsChange& change) {
  const PacketBuffers& wish = change.to.packet_buffers;
  const PacketBufferLimits& limits = change.port.limits.packet_buffers;
  auto fits = check_packet_buffer("receive", wish.receive, limits.min.receive, limits.max.receive, change.port);
  if (!fits) return fits;
  return check_packet_buffer("transmit", wish.transmit, limits.min.transmit, limits.max.transmit, change.port);
}

Result<void> check_pool_owner(const std::string& field, const MempoolCore& pool, const PortInfo& port,
                              const ContextState& context) {
  if (&pool.context() == &context) return {};
  return refuse(port.name, fmt::format("{}: pool '{}' belongs to another Context", field, pool.options().name),
                "create the pool in the port's Context");
}

Result<void> check_rx_settings(const std::string& prefix, const RxQueueConfig& config, PlacedRxQueue& queue,
                               const PortInfo& port, const ContextState& context) {
  if (auto copying = check_copying(prefix, config, queue, port, context); !copying) return copying;
  if (auto splitting = check_splitting(prefix, config, queue, port, context); !splitting) return splitting;
  if (auto drop = check_drop_enable(prefix, config.drop_enable, port); !drop) return drop;
  if (auto fits = check_thresholds(prefix, config.thresholds, port); !fits) return fits;
  queue.thresholds = config.thresholds;
  return {};
}

Result<void> check_tx_settings(const std::string& prefix, const TxQueueConfig& config, const PortInfo& port) {
  return check_thresholds(prefix, config.thresholds, port);
}

// A queue without descriptors must not block the others. With one queue, frames may wait in the packet buffer (Linux
// igb, igb_main.c, igb_setup_srrctl).
bool drops_frames(std::optional<bool> wish, std::size_t rx_queues, const PortInfo& port) noexcept {
  switch (port.limits.drop_enable) {
    case DropChoice::none: return false;
    case DropChoice::always: return true;
    case DropChoice::any: break;
  }
  return wish.value_or(rx_queues > 1);
}

// A ring that holds buffers always leaves one slot empty, so that a full ring differs from an empty one.
Result<void> check_frame_fits(const PlacedSettings& settings, std::size_t index, const PortInfo& port) {
  const PortLimits& limits = port.limits;
  const PlacedRxQueue& queue = settings.queues.rx[index];
  const MempoolOptions& pool = settings.queues.pool_options(queue);
  const std::uint32_t there = limits.rings_hold_buffers ? queue.ring - 1 : pool.count;
  if (auto fits = check_bad_frames_fit(there, settings, index, port); !fits) return fits;
  const std::uint64_t room = std::uint64_t{std::min(there, limits.max_rx_segments)} * queue.buffer_bytes;
  const std::uint32_t frame =
      frame_bytes(settings.mtu) + (settings.outer_vlan_type ? kVlanTagBytes : 0) + kept_fcs_bytes(settings);
  if (frame <= room) return {};
  if (limits.rings_hold_buffers) {
    return refuse(port.name,
                  fmt::format("mtu = {}: a frame of {} bytes does not fit receive queue {}, which has ring = {} and "
                              "buffers of {}",
                              settings.mtu, frame, index, queue.ring, queue.buffer_bytes),
                  "use a larger ring or a pool with a larger data_room");
  }
  return refuse(port.name,
                fmt::format("mtu = {}: a frame of {} bytes does not fit the {} buffers of {} of pool '{}' of receive "
                            "queue {}",
                            settings.mtu, frame, pool.count, queue.buffer_bytes, pool.name, index),
                "create the pool with a larger data_room or count");
}

}  // namespace pollux
