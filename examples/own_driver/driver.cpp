// SPDX-License-Identifier: BSD-3-Clause
#include "own_driver/driver.hpp"

#include <chrono>
#include <new>
#include <utility>

#include "own_driver/registers.hpp"

namespace own_driver {

pollux::CardDriver driver() {
  return {.name = "toy",
          .cards = {{.vendor = kVendor, .device = kDevice, .name = "invented card", .not_driven = {}}},
          .probe = Port::probe};
}

Port::Port(pollux::Context& context, std::unique_ptr<pollux::Device> device, const pollux::Bar& bar,
           std::uint16_t index)
    : context_(context), device_(std::move(device)), bar_(bar) {
  info_ = {.name = device_->name(),
           .driver = "toy",
           .card = "invented card",
           .backend = "sim",
           .index = index,
           .limits = {.max_rx_queues = 1,
                      .max_tx_queues = 1,
                      .min_ring = 8,
                      .max_ring = 4096,
                      .min_mtu = 68,
                      .max_mtu = 9000,
                      .max_tx_segments = 255,
                      .min_frame = 14,
                      .max_rx_segments = 64},
           .offloads = {.tx_flags = pollux::TxOffload::kChecksums,
                        .tx_software_flags = pollux::TxOffload::kChecksums,
                        .max_l2 = 255,
                        .max_l3 = 255}};
  info_.missed_count = pollux::MissedCount::lower_bound;  // the card has no counters
  const std::uint32_t low = bar_.read32(kAddressLow);
  const std::uint32_t high = bar_.read32(kAddressHigh);
  for (unsigned i = 0; i < 4; ++i) mac_[i] = static_cast<std::uint8_t>(low >> (8 * i));
  for (unsigned i = 0; i < 2; ++i) mac_[4 + i] = static_cast<std::uint8_t>(high >> (8 * i));
}

pollux::Result<std::unique_ptr<pollux::PortDriver>> Port::probe(pollux::Context& context,
                                                                std::unique_ptr<pollux::Device> device) {
  auto bar = device->bar(0);
  if (!bar) return tl::unexpected<pollux::Error>(bar.error());
  if (bar->size() < kBarBytes || bar->read32(kIdentity) != kIdentityValue) {
    return pollux::fail(pollux::ErrorCode::device_fault,
                        device->name() + ": the card does not have the expected identity",
                        "is its model the one of this example?");
  }
  const auto index = pollux::take_port_index(context, device->name());
  if (!index) return tl::unexpected<pollux::Error>(index.error());
  return std::unique_ptr<pollux::PortDriver>(new Port(context, std::move(device), *bar, *index));
}

pollux::Result<void> Port::configure(const pollux::ValidatedConfig& config) {
  if (!config.rx.empty()) queues_->rx.setup(bar_, config.rx[0].mempool(), info_.index);
  queues_->tx.setup(bar_);
  rx_queues_ = config.rx_queues();
  tx_queues_ = config.tx_queues();
  return {};
}

pollux::Result<void> Port::start() {
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  bar_.write32(kControl, kEnable);
  if (bar_.read32(kControl) == kEnable) return {};
  return pollux::fail(pollux::ErrorCode::device_fault, info_.name + ": the card does not start", "reset it");
}

void Port::open_queues() noexcept {
  queues_->rx.open();
  queues_->tx.open();
}

pollux::Result<void> Port::close_queues(pollux::Duration limit) {
  auto closed = queues_->rx.close(context_.clock(), limit);
  if (closed) closed = queues_->tx.close(context_.clock(), limit);
  return closed;
}

pollux::Result<void> Port::halt() {
  bar_.write32(kControl, 0);
  bar_.flush();
  return {};
}

// The card has no filter, so it receives everything, of every length; the driver drops what is longer than the MTU
// allows.
pollux::Result<void> Port::apply(const pollux::Settings*, const pollux::Settings& to) {
  queues_->rx.set_max_frame(to.mtu + kHeaders);
  const pollux::MacAddress mac = mac_of(to);
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  for (unsigned i = 0; i < 4; ++i) low |= std::uint32_t{mac[i]} << (8 * i);
  for (unsigned i = 0; i < 2; ++i) high |= std::uint32_t{mac[4 + i]} << (8 * i);
  bar_.write32(kAddressLow, low);
  bar_.write32(kAddressHigh, high);
  if (bar_.read32(kAddressLow) == low && bar_.read32(kAddressHigh) == high) return {};
  return pollux::fail(pollux::ErrorCode::device_fault,
                      info_.name + ": the card does not accept the address " + pollux::to_string(mac), "reset it");
}

pollux::Link Port::link() {
  if ((bar_.read32(kStatus) & kLinkUp) == 0) return {};
  return {.up = true, .speed = 100, .duplex = pollux::Duplex::full, .autonegotiated = false};
}

pollux::Stats Port::stats() {
  pollux::Stats stats;
  stats.rx_packets = queues_->rx.packets;
  stats.rx_bytes = queues_->rx.bytes;
  stats.multicast = queues_->rx.multicast;
  stats.rx_burst_packets = queues_->rx.handed_out;
  stats.tx_packets = queues_->tx.packets;
  stats.tx_bytes = queues_->tx.bytes;
  stats.tx_burst_packets = queues_->tx.taken;
  const RxQueue& rx = queues_->rx;
  const TxQueue& tx = queues_->tx;
  stats.drops = {{"rx_pool_empty", rx.pool_empty},
                 {"rx_bad_length", rx.bad_length},
                 {"rx_too_long", rx.too_long},
                 {"tx_too_short", tx.too_short},
                 {"tx_too_long", tx.too_long},
                 {"tx_bad_segment", tx.bad_segment},
                 {"tx_bad_offload", tx.bad_offload},
                 {"tx_shared_checksum", tx.shared_checksum},
                 {"tx_unsupported_offload", tx.unsupported_offload}};
  std::uint64_t dropped[2] = {};
  for (const pollux::Counter& drop : stats.drops) dropped[drop.name.starts_with("tx_") ? 1 : 0] += drop.value;
  if (rx_queues_ != 0) stats.rx_queues.push_back({.packets = rx.handed_out, .drops = dropped[0]});
  if (tx_queues_ != 0) stats.tx_queues.push_back({.packets = tx.taken, .drops = dropped[1]});
  return stats;
}

// The card has no counters to accumulate; this only detects its removal.
pollux::Result<pollux::Duration> Port::service() {
  if (bar_.read32(kIdentity) == kIdentityValue) return pollux::Duration(std::chrono::seconds(1));
  return pollux::fail(pollux::ErrorCode::device_removed, info_.name + ": the card was removed", "close the port");
}

pollux::Result<void> Port::release(bool failed) {
  if (!failed) bar_.write32(kControl, 0);
  bar_ = {};
  device_.reset();
  return {};
}

// A thread is still inside a burst, so the memory that it uses must never be freed.
void Port::abandon() noexcept {
  retire();
  static_cast<void>(new (std::nothrow) std::shared_ptr<Queues>(queues_));
}

}  // namespace own_driver
