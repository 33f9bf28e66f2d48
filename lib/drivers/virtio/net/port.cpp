// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/port.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "hw/virtio/ids.hpp"
#include "hw/virtio/rings.hpp"
#include "net/frame_size.hpp"
#include "net/new_port.hpp"

namespace pollux::drivers::virtio {
namespace {

/// More pairs than this are not used; a device may have 32,768.
constexpr std::uint32_t kMaxPairs = 64;
/// Addresses that every device is expected to take in its table; QEMU's takes 64, and receives all if there are more.
constexpr std::uint32_t kMaxAddresses = 32;

constexpr std::array kRxDrops{&RxDrops::filtered,          &RxDrops::too_long, &RxDrops::bad_offload,
                              &RxDrops::bad_length,        &RxDrops::error,    &RxDrops::pool_empty,
                              &RxDrops::too_many_segments, &RxDrops::stopped,  &RxDrops::removed};
constexpr std::array kTxDrops{&TxDrops::shared_checksum, &TxDrops::stopped, &TxDrops::removed};

// A chain has one descriptor more, for the header, and is no longer than the queue (2.7.5.3.1).
std::uint32_t max_tx_segments(const DeviceFacts& facts) noexcept {
  return std::min(kMaxTxSegments, facts.max_ring - 1);
}

// Without MRG_RXBUF a device drops what does not fit one buffer; with it, it waits until there are enough.
PortLimits limits_of(const DeviceFacts& facts) {
  const bool mergeable = (facts.features & feature::kMrgRxbuf) != 0;
  const bool filters = (facts.features & feature::kCtrlRx) != 0;
  const std::uint32_t longest = frame_bytes((facts.features & feature::kMtu) != 0 ? facts.config.max_mtu : 65535);
  return {.max_rx_queues = facts.pairs,
          .max_tx_queues = facts.pairs,
          .min_ring = std::min(8U, facts.max_ring),
          .max_ring = facts.max_ring,
          .min_mtu = kMinMtu,
          .max_mtu = facts.config.max_mtu,
          .max_tx_segments = max_tx_segments(facts),
          .min_frame = kEthernetHeaderBytes,
          .max_rx_segments = mergeable ? 255U : 1U,
          .max_rx_frame = mergeable ? longest : 0,
          .rings_hold_buffers = true,
          .max_unicast = filters ? kMaxAddresses : 0,
          .max_multicast = filters ? kMaxAddresses : 0,
          .rss_table = facts.config.rss_table,
          .rss_types = facts.config.hash_types & RssTypes::kAll};
}

OffloadLimits offloads_of(const DeviceFacts& facts) {
  const auto has = [&](Features any) { return (facts.features & any) != 0; };
  OffloadLimits limits{.tx_flags = TxOffload::kChecksums,
                       .tx_software_flags = TxOffload::ipv4_checksum | TxOffload::sctp_checksum,
                       .max_l2 = 65535,
                       .max_l3 = 65535};
  if (!has(feature::kCsum)) limits.tx_software_flags = TxOffload::kChecksums;
  if (has(feature::kHostTso4)) limits.tx_flags |= TxOffload::tcp_segmentation;
  if (has(feature::kHostUso)) limits.tx_flags |= TxOffload::udp_segmentation;
  if (has(feature::kHostTso4 | feature::kHostUso)) {
    limits.max_segments = static_cast<std::uint16_t>(max_tx_segments(facts));
    limits.max_tso = kMaxSegmentedFrame;
    limits.max_tso_headers = static_cast<std::uint16_t>(tx_copy_bytes(facts.features));
    limits.max_tcp_segments = kMaxTcpSegments;
    limits.max_datagrams = kMaxDatagrams;
  }
  if (has(feature::kGuestCsum))
    limits.rx_flags |= RxOffload::tcp_checksum | RxOffload::udp_checksum | RxOffload::partial_checksum;
  if (has(feature::kHashReport)) limits.rx_flags |= RxOffload::rss_hash;
  return limits;
}

PortInfo describe(const Device& device, const DeviceFacts& facts, std::uint16_t index) {
  PortInfo info = paravirtual::describe_device(device, "virtio_net", hw::virtio::kNetName, index);
  info.supports = supported_settings(device, facts.features);
  info.limits = limits_of(facts);
  info.offloads = offloads_of(facts);
  return info;
}

// The pairs whose queues exist. All have a size of their own; the smallest decides.
Result<DeviceFacts> read_facts(const VirtioNetCard& card) {
  auto config = read_config(card);
  if (!config) return pass_on(std::move(config));
  const bool several = card.has(feature::kMq | feature::kRss);
  DeviceFacts facts{.features = card.features,
                    .config = *config,
                    .pairs = static_cast<std::uint16_t>(std::min(config->max_pairs, kMaxPairs)),
                    .max_ring = hw::virtio::kMaxQueueSize,
                    .control = hw::virtio::control_queue_index(several ? config->max_pairs : 1)};
  for (std::uint16_t queue = 0; queue < 2 * facts.pairs; ++queue) {
    facts.max_ring = std::min(facts.max_ring, queue_limit(card, queue));
  }
  if (facts.max_ring >= 2) return facts;
  return fail(ErrorCode::device_fault, fmt::format("{}: the device has no queues", card.name),
              "use a device whose queues have at least 2 descriptors");
}

/// The device's structures and what it is, after a reset.
struct Found {
  VirtioNetCard card;
  DeviceFacts facts;
};

// A device without ACCESS_PLATFORM takes physical addresses only (6.1).
Result<Found> find_device(const std::shared_ptr<ContextState>& context, Device& device) {
  // A device without a reset of its function is reset by its status alone.
  if (auto reset = device.reset(); !reset && reset.error().code != ErrorCode::not_supported)
    return pass_on(std::move(reset));
  auto transport = Transport::find(device);
  if (!transport) return pass_on(std::move(transport));
  Found found{.card = {.transport = *std::move(transport), .context = context, .name = device.name()}, .facts = {}};
  if (found.card.common().removed()) return fail_removed(device.name());
  if (auto negotiated = negotiate(found.card, 0); !negotiated) return pass_on(std::move(negotiated));
  if (!found.card.has(feature::kAccessPlatform) && device.dma_domain().is_iommu()) {
    give_up(found.card);
    return fail(ErrorCode::not_supported,
                fmt::format("{}: the device bypasses the IOMMU: it lacks ACCESS_PLATFORM", device.name()),
                "offer that feature, with QEMU by iommu_platform=on, or bind the device without an IOMMU");
  }
  auto facts = read_facts(found.card);
  if (!facts) {
    give_up(found.card);
    return pass_on(std::move(facts));
  }
  found.facts = *facts;
  return found;
}

}  // namespace

VirtioNetPort::VirtioNetPort(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, VirtioNetCard card,
                             const DeviceFacts& facts, std::uint16_t index)
    : ParavirtualPort(std::move(context), describe(*device, facts, index), {.rx = kRxDrops, .tx = kTxDrops}),
      card_(std::move(card)),
      facts_(facts) {
  device_ = std::move(device);
  for (std::uint16_t pair = 0; pair < facts_.pairs; ++pair) {
    add(rx_.emplace_back(filter_, device_->interrupt_vectors() != 0, &vlans_));
    add(tx_.emplace_back());
  }
}

Result<std::unique_ptr<PortDriver>> VirtioNetPort::open(const std::shared_ptr<ContextState>& context,
                                                        std::unique_ptr<Device> device) {
  auto found = find_device(context, *device);
  if (!found) return pass_on(std::move(found));
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<VirtioNetPort>(
        new VirtioNetPort(context, std::move(device), std::move(found->card), found->facts, index));
  };
  return new_port(*context, device->name(), make, [](VirtioNetPort& port) {
    if (!port.card_.has(feature::kCtrlVq)) return Result<void>();
    return port.control_.allocate(port.card_, port.facts_.control, port.info().numa_node);
  });
}

// The control queue would have to let all VLANs pass one by one (5.1.6.5.3), so filtering begins with a start. A frame
// that is left unsegmented and does not fit a ring would stay in the device, and all others behind it.
Features VirtioNetPort::refused() const noexcept {
  const bool fit = std::ranges::all_of(config().rx, holds_superframes);
  return (settings().vlans ? 0 : feature::kCtrlVlan) | (fit ? 0 : kSuperframes);
}

// 3.1.1: reset, features, queues, DRIVER_OK. Commands follow, and the receive buffers come last: until then no frame
// can arrive that the settings do not let pass.
Result<void> VirtioNetPort::start() {
  if (auto ready = negotiate(card_, refused()); !ready) return ready;
  if ((facts_.features & ~refused()) != (card_.features & ~refused())) {
    return fail(ErrorCode::device_fault,
                fmt::format("{}: the device offers other features than before: {:#x} instead of {:#x}", card_.name,
                            card_.features, facts_.features),
                "close the port and open it again");
  }
  tx_watch_.forget();
  if ((facts_.features & refused() & kSuperframes) != 0)
    card_.log(LogLevel::info,
              "a receive ring is too small for frames that are left unsegmented, so the device segments");
  use_vectors();
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  if (auto enabled = enable_queues(); !enabled) return enabled;
  if (auto begun = set_driver_ok(card_); !begun) return begun;
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) rx_[queue].publish_all();
  card_.common().flush();
  return {};
}

Result<void> VirtioNetPort::enable_queues() {
  for (const QueueId queue : paravirtual::queues_of(config())) {
    if (auto enabled = enable_one(queue); !enabled) return enabled;
  }
  return card_.has(feature::kCtrlVq) ? control_.start(card_) : Result<void>();
}

Result<void> VirtioNetPort::enable_one(QueueId queue) {
  const bool rx = queue.receives();
  const std::uint16_t index = rx ? hw::virtio::rx_queue_index(queue.index) : hw::virtio::tx_queue_index(queue.index);
  const std::uint32_t vector = rx && vectors_ != 0 ? vector_of(queue.index) : hw::virtio::kNoVector;
  auto notifier = enable_queue(card_, index, rx ? rx_[queue.index].memory : tx_[queue.index].memory, vector);
  if (!notifier) return pass_on(std::move(notifier));
  if (rx) {
    rx_[queue.index].use_notifier(*notifier);
  } else {
    tx_[queue.index].use_notifier(*notifier);
  }
  return {};
}

Result<void> VirtioNetPort::halt() {
  if (card_.common().removed()) return fail_removed(card_.name);
  if (read_link(card_).link.up) wait_for_transmit(card_.common().bar(), 0, config().tx_queues());
  if (auto reset = reset_device(card_); !reset) return reset;
  if (auto off = device_->set_bus_master(false); !off) return off;
  dma_ended_ = true;
  card_.features = facts_.features;  // what the configuration's fields mean
  return {};
}

// The settings are applied by the start that may follow.
Result<void> VirtioNetPort::attach(std::unique_ptr<Device> device) {
  auto found = find_device(context(), *device);
  if (!found) return pass_on(std::move(found));
  const DeviceFacts& other = found->facts;
  if (other.features != facts_.features || other.pairs < facts_.pairs || other.max_ring < facts_.max_ring ||
      other.control != facts_.control || other.config.rss_table != facts_.config.rss_table) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: {} offers other features or queues than the port's device", card_.name, device->name()),
        "attach a device with the same options, or open a port for this one");
  }
  device_ = std::move(device);
  card_ = std::move(found->card);
  facts_.config.mac = other.config.mac;
  dma_ended_ = true;
  return {};
}

bool VirtioNetPort::make_harmless() {
  if (dma_ended_ || device_ == nullptr || card_.common().removed()) return true;
  return reset_device(card_).has_value() || device_->reset().has_value();
}

Result<void> VirtioNetPort::release(bool failed) {
  Result<void> reset;
  if (!failed && device_ != nullptr && !card_.common().removed()) reset = reset_device(card_);
  forget_vectors();
  card_.transport = {};
  device_.reset();
  return reset;
}

}  // namespace pollux::drivers::virtio
