// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/virtio/net/card.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "hw/virtio/rings.hpp"
#include "net/frame_size.hpp"
#include "net/port_identity.hpp"

namespace pollux::drivers::virtio {
namespace {

using std::chrono::milliseconds;

constexpr Duration kResetLimit = milliseconds(1000);

/// What the driver takes of what a device offers. docs/virtio/coverage.md says why it leaves out the others.
constexpr Features kTaken =
    feature::kVersion1 | feature::kRingPacked | feature::kInOrder | feature::kIndirectDesc | feature::kEventIdx |
    feature::kRingReset | feature::kNotificationData | feature::kAccessPlatform | feature::kOrderPlatform |
    feature::kMac | feature::kMtu | feature::kStatus | feature::kSpeedDuplex | feature::kCsum | feature::kGuestCsum |
    feature::kGuestTso4 | feature::kGuestTso6 | feature::kGuestEcn | feature::kGuestUso4 | feature::kGuestUso6 |
    feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn | feature::kHostUso | feature::kMrgRxbuf |
    feature::kCtrlVq | feature::kCtrlRx | feature::kCtrlVlan | feature::kCtrlMacAddr | feature::kGuestAnnounce |
    feature::kMq | feature::kRss | feature::kHashReport | feature::kNotfCoal | feature::kVqNotfCoal;

/// A frame that requests segmentation may be of any of these kinds.
constexpr Features kSegmentsTcp = feature::kHostTso4 | feature::kHostTso6 | feature::kHostEcn;

Features choose(Features offered, Features refused) noexcept {
  Features features = offered & kTaken & ~refused;
  if ((features & feature::kMrgRxbuf) == 0) features &= ~kSuperframes;
  if ((features & kSegmentsTcp) != kSegmentsTcp) features &= ~kSegmentsTcp;
  return hw::virtio::without_unmet(features);
}

Features read_offered(const VirtioNetCard& card) noexcept {
  Features offered = 0;
  for (std::uint32_t half = 0; half < 2; ++half) {
    card.common().write<reg::DEVICE_FEATURE_SELECT>(reg::DEVICE_FEATURE_SELECT::Value(half));
    offered |= Features{card.common().read<reg::DEVICE_FEATURE>().raw()} << (32 * half);
  }
  return offered;
}

void write_address(const VirtioNetCard& card, auto address_register, std::uint64_t iova) {
  using Address = decltype(address_register);
  card.common().write<Address>(0, typename Address::Value(static_cast<std::uint32_t>(iova)));
  card.common().write<Address>(1, typename Address::Value(static_cast<std::uint32_t>(iova >> 32)));
}

void select(const VirtioNetCard& card, std::uint16_t queue) noexcept {
  card.common().write<reg::QUEUE_SELECT>(reg::QUEUE_SELECT::Value(queue));
}

tl::unexpected<Error> fault(const VirtioNetCard& card, std::string_view what) {
  if (card.common().removed()) return fail_removed(card.name);
  return fail(ErrorCode::device_fault, fmt::format("{}: {}", card.name, what),
              "close the port and open it again; if the error persists, restart the virtual machine's device");
}

// A device without an address leaves it to the driver to make one (5.1.5 "Device Initialization").
MacAddress read_mac(const VirtioNetCard& card) {
  if (!card.has(feature::kMac)) return random_station_address();
  MacAddress mac;
  for (std::uint32_t i = 0; i < mac.size(); ++i) {
    mac[i] = static_cast<std::uint8_t>(card.transport.net().read<reg::MAC>(i).raw());
  }
  return mac;
}

}  // namespace

Result<void> reset_device(VirtioNetCard& card) {
  card.features = 0;
  card.common().write<reg::DEVICE_STATUS>({});
  const auto is_reset = [&] {
    card.common().flush();
    return card.common().read<reg::DEVICE_STATUS>().raw() == 0;
  };
  const auto waited = wait_until(card.clock(), "the device's reset", kResetLimit, is_reset);
  if (waited) return {};
  if (card.common().removed()) return fail_removed(card.name);
  return timed_out(fmt::format("{}: the device's reset (DEVICE_STATUS 0)", card.name), kResetLimit);
}

// 3.1.1 "Driver Requirements: Device Initialization".
Result<void> negotiate(VirtioNetCard& card, Features refused) {
  if (auto reset = reset_device(card); !reset) return reset;
  card.common().write<reg::DEVICE_STATUS>(reg::DEVICE_STATUS::ACKNOWLEDGE);
  card.common().write<reg::DEVICE_STATUS>(reg::DEVICE_STATUS::ACKNOWLEDGE | reg::DEVICE_STATUS::DRIVER);
  const Features offered = read_offered(card);
  if ((offered & feature::kVersion1) == 0) {
    return fail(ErrorCode::not_supported, fmt::format("{}: a legacy virtio device: it lacks VERSION_1", card.name),
                "offer the interface of VIRTIO 1.0, with QEMU by disable-modern=off");
  }
  const Features features = choose(offered, refused);
  for (std::uint32_t half = 0; half < 2; ++half) {
    card.common().write<reg::DRIVER_FEATURE_SELECT>(reg::DRIVER_FEATURE_SELECT::Value(half));
    const auto bits = static_cast<std::uint32_t>(features >> (32 * half));
    card.common().write<reg::DRIVER_FEATURE>(reg::DRIVER_FEATURE::Value(bits));
  }
  constexpr auto kChosen =
      reg::DEVICE_STATUS::ACKNOWLEDGE | reg::DEVICE_STATUS::DRIVER | reg::DEVICE_STATUS::FEATURES_OK;
  card.common().write<reg::DEVICE_STATUS>(kChosen);
  const auto status = card.common().read<reg::DEVICE_STATUS>();
  if (status.all_ones()) return fail_removed(card.name);
  if (!status.has(reg::DEVICE_STATUS::FEATURES_OK)) {
    give_up(card);
    return fault(
        card, fmt::format("the device refuses the features {:#x} of those that it offers ({:#x})", features, offered));
  }
  card.features = features;
  return {};
}

void give_up(const VirtioNetCard& card) noexcept {
  card.common().modify<reg::DEVICE_STATUS>(reg::DEVICE_STATUS::FAILED);
}

// 2.5.1: values that belong together have been read between two equal generations.
Result<NetConfig> read_config(const VirtioNetCard& card) {
  constexpr int kMaxTries = 100;
  const hw::virtio::NetRegisters& net = card.transport.net();
  for (int tries = 0; tries < kMaxTries; ++tries) {
    const auto generation = card.common().read<reg::CONFIG_GENERATION>();
    NetConfig config{.mac = read_mac(card), .max_mtu = 65535 - frame_bytes(0)};
    if (card.has(feature::kMtu)) config.max_mtu = std::min(config.max_mtu, net.read<reg::MTU>().raw());
    if (card.has(feature::kMq | feature::kRss)) config.max_pairs = net.read<reg::MAX_VIRTQUEUE_PAIRS>().raw();
    if (card.has(feature::kRss)) config.rss_table = std::bit_floor(net.read<reg::RSS_MAX_TABLE>().raw());
    if (card.has(feature::kRss | feature::kHashReport)) config.hash_types = net.read<reg::SUPPORTED_HASH_TYPES>().raw();
    if (card.common().read<reg::CONFIG_GENERATION>() != generation) continue;
    if (config.max_pairs == 0 || config.max_pairs > hw::virtio::kMaxQueuePairs)
      return fault(card, fmt::format("the device has {} queue pairs", config.max_pairs));
    if (config.max_mtu < kMinMtu) return fault(card, fmt::format("the device has an MTU of {}", config.max_mtu));
    if (!is_station_address(config.mac))
      return fault(card, fmt::format("the device's address is {}", to_string(config.mac)));
    return config;
  }
  return fault(card, "the device's configuration changes all the time");
}

// Without STATUS the link is always up (5.1.4.2); without SPEED_DUPLEX its speed is unknown, as that of a port without
// a card.
LinkStatus read_link(const VirtioNetCard& card) noexcept {
  constexpr std::uint32_t kUnknownFrom = 0x80000000;
  constexpr std::uint32_t kNoCard = 10'000;
  LinkStatus status;
  bool up = true;
  if (card.has(feature::kStatus)) {
    const auto bits = card.transport.net().read<reg::NET_STATUS>();
    up = !bits.all_ones() && bits.has(reg::NET_STATUS::LINK_UP);
    status.announce = !bits.all_ones() && bits.has(reg::NET_STATUS::ANNOUNCE);
  }
  if (!up) return status;
  status.link = {.up = true, .speed = kNoCard, .duplex = Duplex::full, .autonegotiated = false};
  if (!card.has(feature::kSpeedDuplex)) return status;
  const std::uint32_t speed = card.transport.net().read<reg::SPEED>().raw();
  if (speed != 0 && speed < kUnknownFrom) status.link.speed = speed;
  if (card.transport.net().read<reg::DUPLEX>().has(reg::DUPLEX::HALF)) status.link.duplex = Duplex::half;
  return status;
}

std::uint32_t queue_limit(const VirtioNetCard& card, std::uint16_t queue) noexcept {
  select(card, queue);
  const std::uint32_t size = card.common().read<reg::QUEUE_SIZE>().raw();
  return std::bit_floor(std::min(size, hw::virtio::kMaxQueueSize));
}

bool is_enabled(const VirtioNetCard& card, std::uint16_t queue) noexcept {
  select(card, queue);
  return card.common().read<reg::QUEUE_ENABLE>().raw() != 0;
}

// 4.1.5.1.3 "Virtqueue Configuration". The registers that say where the device may write are read back.
Result<Notifier> enable_queue(const VirtioNetCard& card, std::uint16_t queue, const Virtqueue& memory,
                              std::uint32_t vector) {
  if (queue_limit(card, queue) < memory.size)
    return fault(card, fmt::format("queue {} has no room for {} descriptors", queue, memory.size));
  card.common().write<reg::QUEUE_SIZE>(reg::QUEUE_SIZE::Value(memory.size));
  write_address(card, reg::QUEUE_DESC{}, memory.descriptors.iova);
  write_address(card, reg::QUEUE_DRIVER{}, memory.driver.iova);
  write_address(card, reg::QUEUE_DEVICE{}, memory.device.iova);
  card.common().write<reg::QUEUE_MSIX_VECTOR>(reg::QUEUE_MSIX_VECTOR::Value(vector));
  const auto low = card.common().read<reg::QUEUE_DESC>(0).raw();
  const auto high = card.common().read<reg::QUEUE_DESC>(1).raw();
  const bool stored = (std::uint64_t{high} << 32 | low) == memory.descriptors.iova &&
                      card.common().read<reg::QUEUE_SIZE>().raw() == memory.size &&
                      card.common().read<reg::QUEUE_MSIX_VECTOR>().raw() == vector;
  if (!stored) return fault(card, fmt::format("queue {} does not take its settings", queue));
  auto notifier = card.transport.notifier(card.name, queue, card.common().read<reg::QUEUE_NOTIFY_OFF>().raw(),
                                          card.has(feature::kNotificationData));
  if (!notifier) return notifier;
  card.common().write<reg::QUEUE_ENABLE>(reg::QUEUE_ENABLE::Value(1));
  if (card.common().read<reg::QUEUE_ENABLE>().raw() != 1)
    return fault(card, fmt::format("queue {} cannot be enabled", queue));
  return notifier;
}

// 2.6.1 "Virtqueue Reset".
Result<void> reset_queue(const VirtioNetCard& card, std::uint16_t queue) {
  select(card, queue);
  card.common().write<reg::QUEUE_RESET>(reg::QUEUE_RESET::Value(1));
  const auto is_reset = [&] {
    card.common().flush();
    return card.common().read<reg::QUEUE_RESET>().raw() == 0;
  };
  const auto waited = wait_until(card.clock(), "the queue's reset", kResetLimit, is_reset);
  if (card.common().removed()) return fail_removed(card.name);
  if (waited && card.common().read<reg::QUEUE_ENABLE>().raw() == 0) return {};
  return timed_out(fmt::format("{}: the reset of queue {}", card.name, queue), kResetLimit);
}

Result<void> set_driver_ok(const VirtioNetCard& card) {
  card.common().modify<reg::DEVICE_STATUS>(reg::DEVICE_STATUS::DRIVER_OK);
  const auto status = card.common().read<reg::DEVICE_STATUS>();
  if (status.all_ones()) return fail_removed(card.name);
  if (status.has(reg::DEVICE_STATUS::DRIVER_OK) && !status.has(reg::DEVICE_STATUS::NEEDS_RESET)) return {};
  return fault(card, fmt::format("the device does not start: its status is {:#x}", status.raw()));
}

}  // namespace pollux::drivers::virtio
