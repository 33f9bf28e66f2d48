// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/intel/queue/queue_port.hpp"

#include <array>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "hw/intel/descriptors.hpp"
#include "net/checksums.hpp"
#include "net/frame_size.hpp"

namespace pollux::drivers::intel {
namespace {

// [I-PTYPEEXT] DPDK, igb_rxtx.c, IGB_PACKET_TYPE_*, whose last rows are IPv6 in IPv4. QEMU reports IPv6 with extension
// headers by their bit alone.
constexpr auto kPacketTypes = [] {
  constexpr std::uint32_t kIpv6Extended = PacketType::ipv6 | PacketType::ipv6_extensions;
  constexpr std::array<std::uint32_t, 5> kLayer3{PacketType::ipv4, PacketType::ipv4 | PacketType::ipv4_options,
                                                 PacketType::ipv6, kIpv6Extended, PacketType::ipv6_extensions};
  constexpr std::array<std::uint32_t, 4> kLayer4{0, PacketType::tcp, PacketType::udp, PacketType::sctp};
  constexpr std::array<std::uint32_t, 2> kTunnels{PacketType::ipv4 | PacketType::ipv6,
                                                  PacketType::ipv4 | kIpv6Extended};
  std::array<PacketType, kLayer3.size() * 4 + kTunnels.size() * 3> types{};
  std::size_t count = 0;
  for (const std::uint32_t layer3 : kLayer3) {
    for (const std::uint32_t layer4 : kLayer4) types[count++] = {layer3 | layer4};
  }
  for (const std::uint32_t tunnel : kTunnels) {
    for (const std::uint32_t layer4 : {std::uint32_t{0}, kLayer4[1], kLayer4[2]}) types[count++] = {tunnel | layer4};
  }
  return types;
}();

constexpr std::array kRxDrops{&RxDrops::bad_length,        &RxDrops::error,   &RxDrops::pool_empty,
                              &RxDrops::too_many_segments, &RxDrops::stopped, &RxDrops::removed};
constexpr std::array kTxDrops{&TxDrops::shared_checksum, &TxDrops::no_headroom, &TxDrops::stopped, &TxDrops::removed};

}  // namespace

PortLimits queue_limits(std::uint16_t queues, std::uint32_t max_mtu) noexcept {
  return {.max_rx_queues = queues,
          .max_tx_queues = queues,
          .min_ring = hw::intel::kRingMin,
          .max_ring = hw::intel::kRingMax,
          .min_mtu = kMinMtu,
          .max_mtu = max_mtu,
          .max_tx_segments = IntelTxQueue::kMaxSegments,
          .min_frame = IntelTxQueue::kMinFrame,
          .max_rx_segments = IntelRxQueue::kMaxSegments,
          .buffer_unit = hw::intel::kRxBufferUnit,
          .max_buffer = hw::intel::kRxBufferUnitsMax * hw::intel::kRxBufferUnit,
          .rings_hold_buffers = true,
          .copy_break = true,
          .header_unit = hw::intel::kRxHeaderUnit,
          .max_header = hw::intel::kRxHeaderUnit * hw::intel::kRxHeaderUnitsMax,
          .drop_enable = DropChoice::any,
          .max_thresholds = QueueThresholds{.prefetch = 31, .host = 31, .write_back = 1}};
}

OffloadLimits queue_offloads() noexcept {
  return {.tx_flags = kTxUsualOffloads,
          .tx_software_flags = kTxSoftwareOffloads,
          .rx_flags = RxOffload::ipv4_checksum | RxOffload::tcp_checksum | RxOffload::udp_checksum |
                      RxOffload::rss_hash | RxOffload::packet_type,
          .max_l2 = hw::intel::tx::kMacLengthMask,
          .max_l3 = hw::intel::tx::kIpLengthMask,
          .max_segments = kMaxTsoSegments,
          .max_tso = kMaxTso};
}

PortInfo describe_port(const Device& device, std::string_view driver, std::string_view card,
                       const hw::intel::CardFeatures& features, std::uint16_t index, const PortLimits& limits) {
  const std::string& name = device.name();
  OffloadLimits offloads = queue_offloads();
  if (!features.segments_udp) offloads.tx_flags &= ~std::uint32_t{TxOffload::udp_segmentation};
  return {.name = name,
          .driver = std::string(driver),
          .card = fmt::format("Intel {}", card),
          .backend = name.substr(0, name.find(':')),
          .index = index,
          .numa_node = device.numa_node(),
          .limits = limits,
          .offloads = offloads,
          .packet_types = kPacketTypes};
}

QueuePort::QueuePort(std::shared_ptr<ContextState> context, PortInfo info, const TxFormat& format,
                     const std::shared_ptr<std::pmr::memory_resource>& memory)
    : QueuedPort(std::move(context), std::move(info), {.rx = kRxDrops, .tx = kTxDrops}),
      queues_(std::make_shared<QueueSet>(this->info().limits, this->info().offloads, format, memory)) {
  queues_->for_each_rx([this](IntelRxQueue& queue) { add(queue); });
  queues_->for_each_tx([this](IntelTxQueue& queue) { add(queue); });
}

Result<void> QueuePort::configure(const PlacedSettings& settings) {
  auto rings = RingMemory::allocate(*context(), settings.queues, info().numa_node, info().name);
  if (!rings) return pass_on(std::move(rings));
  // The vectors were those of the queues until now; which queues share one is known when the port starts.
  queues_->detach_interrupts();
  queues_->setup(registers_, settings, *rings, context(), info().index);
  rings_ = *std::move(rings);
  use_queues(settings.queues);
  return {};
}

TransmitWatch::Report QueuePort::watch_transmit(Duration limit) {
  if (may_transmit()) {
    return tx_watch_.look(config().tx_queues(), context()->clock().now(), limit + longest_request(),
                          [this](std::uint16_t queue) { return tx_position(registers_, queue); });
  }
  tx_watch_.forget();
  return {};
}

std::optional<std::uint16_t> QueuePort::watch_receive(Duration limit) {
  return rx_watch_.look(registers_, *queues_, config().rx_queues(), counted_frames(), context()->clock().now(), limit);
}

Result<std::vector<unsigned>> QueuePort::rx_vectors() {
  const QueueInterrupts* const interrupts = queues_->interrupts();
  if (interrupts == nullptr) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: the device has no MSI-X vectors, and MSI and the interrupt pin are not used", info().name),
        "poll the port's queues; or give the device MSI-X, which a hypervisor or the kernel's option pci=nomsi "
        "may have taken away");
  }
  if (interrupts->enabled() == 0) {
    return fail(ErrorCode::bad_state, fmt::format("{}: no interrupt vector is enabled", info().name),
                "start the port with a receive queue; if it is started, its log says why they could not be enabled");
  }
  std::vector<unsigned> vectors;
  for (unsigned queue = 0; queue < config().rx_queues(); ++queue) vectors.push_back(interrupts->vector_of(queue));
  return vectors;
}

void QueuePort::moderate(const Settings& settings) {
  if (QueueInterrupts* const interrupts = queues_->interrupts()) interrupts->moderate(settings.moderation);
}

void QueuePort::open_queues() noexcept {
  rx_watch_.forget();
  tx_watch_.forget();
  QueuedPort::open_queues();
}

void QueuePort::retire() noexcept {
  queues_->retire();
  rings_ = {};
  QueuedPort::retire();
}

}  // namespace pollux::drivers::intel
