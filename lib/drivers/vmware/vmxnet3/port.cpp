// SPDX-License-Identifier: BSD-3-Clause
#include "drivers/vmware/vmxnet3/port.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "device/device_events.hpp"
#include "hw/vmware/vmxnet3/ids.hpp"
#include "net/frame_size.hpp"
#include "net/new_port.hpp"
#include "net/register_dump.hpp"

namespace pollux::drivers::vmxnet3 {
namespace {

using paravirtual::kServiceInterval;

/// Vectors besides those of receive queues: the first is for events, the last, which stays masked, for transmit queues.
constexpr unsigned kOtherVectors = 2;

constexpr std::array kRxDrops{&RxDrops::filtered, &RxDrops::too_short,  &RxDrops::too_long,
                              &RxDrops::error,    &RxDrops::bad_length, &RxDrops::pool_empty,
                              &RxDrops::stopped,  &RxDrops::removed,    &RxDrops::too_many_segments};
constexpr std::array kTxDrops{&TxDrops::shared_checksum, &TxDrops::no_headroom, &TxDrops::stopped, &TxDrops::removed};

constexpr PortLimits kLimits{.max_rx_queues = reg::kMaxRxQueues,
                             .max_tx_queues = reg::kMaxTxQueues,
                             .min_ring = reg::kMinRing,
                             .max_ring = reg::kMaxRing,
                             .min_mtu = kMinMtu,
                             .max_mtu = reg::kMaxMtu,
                             .max_tx_segments = kMaxTxSegments,
                             .min_frame = kEthernetHeaderBytes,
                             .max_rx_segments = 255,
                             .max_buffer = reg::rx::kMaxLength,
                             .rings_hold_buffers = true,
                             .max_multicast = kMaxMulticast,
                             .rss_table = reg::RssConf::kTable,
                             .rss_types = RssTypes::ipv4 | RssTypes::tcp_ipv4 | RssTypes::ipv6 | RssTypes::tcp_ipv6};

constexpr OffloadLimits kOffloads{
    .tx_flags = TxOffload::kChecksums | TxOffload::tcp_segmentation | TxOffload::insert_vlan,
    .tx_software_flags = TxOffload::ipv4_checksum | TxOffload::sctp_checksum,
    .rx_flags = RxOffload::ipv4_checksum | RxOffload::tcp_checksum | RxOffload::udp_checksum |
                RxOffload::partial_checksum | RxOffload::rss_hash | RxOffload::vlan,
    .max_l2 = 65535,
    .max_l3 = 65535,
    .max_segments = kMaxTsoPieces - 4,  // each 16 KiB of 64 may begin another piece
    .max_tso = kMaxSegmentedFrame,
    .max_tso_headers = kTxCopyBytes - kVlanTagBytes};

PortInfo describe(const Device& device, std::uint16_t index) {
  PortInfo info = paravirtual::describe_device(device, "vmxnet3", hw::vmxnet3::kName, index);
  info.supports = supported_settings();
  info.limits = kLimits;
  info.offloads = kOffloads;
  return info;
}

void add_to_stats(auto& sum, const auto& more) noexcept {
  constexpr std::size_t kCounters = sizeof sum / sizeof(std::uint64_t);
  auto* const to = reinterpret_cast<std::uint64_t*>(&sum);
  const auto* const from = reinterpret_cast<const std::uint64_t*>(&more);
  for (std::size_t i = 0; i < kCounters; ++i) to[i] += from[i];
}

}  // namespace

Vmxnet3Port::Vmxnet3Port(std::shared_ptr<ContextState> context, std::unique_ptr<Device> device, std::uint16_t index)
    : ParavirtualPort(context, describe(*device, index), {.rx = kRxDrops, .tx = kTxDrops}) {
  device_ = std::move(device);
  card_ = {.regs = {}, .queues = {}, .context = std::move(context), .name = device_->name()};
  for (std::uint16_t queue = 0; queue < kLimits.max_rx_queues; ++queue)
    add(rx_.emplace_back(filter_, device_->interrupt_vectors() != 0, vlans_));
  for (std::uint16_t queue = 0; queue < kLimits.max_tx_queues; ++queue) add(tx_.emplace_back());
}

Result<std::unique_ptr<PortDriver>> Vmxnet3Port::open(const std::shared_ptr<ContextState>& context,
                                                      std::unique_ptr<Device> device) {
  const auto make = [&](std::uint16_t index) {
    return std::unique_ptr<Vmxnet3Port>(new Vmxnet3Port(context, std::move(device), index));
  };
  return new_port(*context, device->name(), make, [](Vmxnet3Port& port) {
    auto allocated = port.shared_.allocate(*port.card_.context, port.info().numa_node, port.info().name);
    return allocated ? port.bring_up_device(*port.device_) : std::move(allocated);
  });
}

Result<void> Vmxnet3Port::bring_up_device(Device& device) {
  card_.name = device.name();
  if (auto up = bring_up(card_, device); !up) return up;
  permanent_mac_ = vmxnet3::permanent_mac(card_);
  return {};
}

// The settings are applied by the start that may follow.
Result<void> Vmxnet3Port::attach(std::unique_ptr<Device> device) {
  if (auto up = bring_up_device(*device); !up) return up;
  device_ = std::move(device);
  return {};
}

Result<void> Vmxnet3Port::start() {
  stopped_ = {};
  return start_device();
}

// The device passes no frame until its mode is set, which `apply` does last: a device may begin with its permanent
// address (QEMU, hw/net/vmxnet3.c, vmxnet3_activate_device).
Result<void> Vmxnet3Port::start_device() {
  if (auto reset = reset_device(card_); !reset) return reset;
  tx_watch_.forget();
  shared_.clear(static_cast<std::uint8_t>(config().tx_queues()), static_cast<std::uint8_t>(config().rx_queues()));
  event_ = enable_interrupts(kOtherVectors, kOtherVectors + 1);
  describe_queues();
  write_features(settings());
  write_rss(settings());
  dma_ended_ = false;
  if (auto mastering = device_->set_bus_master(true); !mastering) return mastering;
  if (auto activated = activate(card_, shared_); !activated) return activated;
  active_ = true;
  for (std::uint32_t vector = 0; vector < vectors_; ++vector) card_.mask_vector(vector, vector != 0);
  shared_.driver().interrupts.control = 0;
  return apply(nullptr, settings());
}

// The device forgets its statistics with the next activation.
Result<void> Vmxnet3Port::halt() {
  if (active_) wait_for_transmit(card_.queues, 0, config().tx_queues());
  earlier_ = read_stats();
  active_ = false;
  if (auto reset = reset_device(card_); !reset) return reset;
  if (auto off = device_->set_bus_master(false); !off) return off;
  dma_ended_ = true;
  return {};
}

bool Vmxnet3Port::make_harmless() {
  if (dma_ended_ || device_ == nullptr) return true;
  const auto reset = reset_device(card_);
  return reset.has_value() || reset.error().code == ErrorCode::device_removed || device_->reset().has_value();
}

Result<void> Vmxnet3Port::release(bool failed) {
  Result<void> reset;
  if (!failed && device_ != nullptr) reset = reset_device(card_);
  active_ = false;
  dma_ended_ = true;
  forget_vectors();
  card_.regs = {};
  card_.queues = {};
  device_.reset();
  return reset;
}

Link Vmxnet3Port::link() { return read_link(card_); }

Vmxnet3Port::DeviceStats Vmxnet3Port::read_stats() const noexcept {
  DeviceStats sum = earlier_;
  if (!active_) return sum;
  // Its result says that the statistics have been written. A removed device has written none.
  if (card_.command(Command::get_stats) == ~std::uint32_t{0}) return sum;
  for (std::uint16_t queue = 0; queue < config().tx_queues(); ++queue) add_to_stats(sum.tx, shared_.tx(queue).stats);
  for (std::uint16_t queue = 0; queue < config().rx_queues(); ++queue) add_to_stats(sum.rx, shared_.rx(queue).stats);
  return sum;
}

Stats Vmxnet3Port::stats() {
  Stats stats = QueuedPort::stats();
  const DeviceStats device = read_stats();
  stats.rx_missed_errors = device.rx.out_of_buffers;
  stats.rx_packets += stats.rx_missed_errors;
  stats.rx_errors = device.rx.errors;
  stats.tx_errors = device.tx.errors + device.tx.discards;
  return stats;
}

void Vmxnet3Port::append_counters(std::vector<Counter>& counters) {
  const DeviceStats device = read_stats();
  const std::array<std::pair<std::string_view, std::uint64_t>, 6> rows{{{"tso_packets", device.tx.tso_packets},
                                                                        {"tso_bytes", device.tx.tso_bytes},
                                                                        {"tx_device_errors", device.tx.errors},
                                                                        {"tx_device_discards", device.tx.discards},
                                                                        {"lro_packets", device.rx.lro_packets},
                                                                        {"lro_bytes", device.rx.lro_bytes}}};
  for (const auto& [name, value] : rows) counters.push_back({std::string(name), value});
}

Result<void> Vmxnet3Port::check_stopped() const {
  for (const QueueId queue : paravirtual::queues_of(config())) {
    const reg::QueueStatus status = queue.receives() ? shared_.rx(queue.index).status : shared_.tx(queue.index).status;
    if (status.error != 0) return fail_queue("has stopped", queue, fmt::format(": {}", explain_stop(status.error)));
  }
  return {};
}

// A change of the link needs no action: whoever asks for it gets the present one.
Result<void> Vmxnet3Port::handle_events() {
  const std::uint32_t events = __atomic_load_n(&shared_.driver().events, __ATOMIC_ACQUIRE);
  if (events != 0) card_.regs.write<reg::ECR>(reg::ECR::Value(events));
  if ((events & (reg::event::kRxQueueError | reg::event::kTxQueueError)) != 0)
    static_cast<void>(card_.command(Command::get_queue_status));
  if (vectors_ != 0) card_.mask_vector(0, false);  // the interrupt has masked itself
  card_.queues.flush();
  if ((events & reg::event::kImplementation) == 0) return {};
  return fail(ErrorCode::not_supported, fmt::format("{}: the device changes over to pass-through by UPT", card_.name),
              "turn DirectPath I/O off for this adapter");
}

Result<Duration> Vmxnet3Port::service() {
  if (card_.regs.read<reg::VRRS>().all_ones()) return fail_removed(card_.name);
  if (auto healthy = check_device(*device_); !healthy) return pass_on(std::move(healthy));
  if (!running()) return kServiceInterval;
  if (auto handled = handle_events(); !handled) return pass_on(std::move(handled));
  if (auto fine = check_faults(); !fine) return pass_on(std::move(fine));
  if (auto run = check_stopped(); !run) return pass_on(std::move(run));
  return kServiceInterval;
}

std::vector<RegisterValue> Vmxnet3Port::registers() {
  if (device_ == nullptr) return {};
  auto values = dump_registers(card_.regs.bar(), reg::kControlRegisters, {});
  auto queues = dump_registers(card_.queues, reg::kQueueRegisters, {});
  values.insert(values.end(), std::make_move_iterator(queues.begin()), std::make_move_iterator(queues.end()));
  return values;
}

}  // namespace pollux::drivers::vmxnet3
