// SPDX-License-Identifier: BSD-3-Clause
#include "own_driver/driver.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <span>
#include <utility>

#include "own_driver/registers.hpp"

namespace own_driver {
namespace {

/// The words of the longest frame, which the card reads and writes one by one.
using Words = std::array<std::uint32_t, kMaxFrame / 4 + 1>;

constexpr std::array kRxDrops{&pollux::RxDrops::pool_empty, &pollux::RxDrops::bad_length, &pollux::RxDrops::too_long};
constexpr std::array kTxDrops{&pollux::TxDrops::shared_checksum};

pollux::PortInfo describe(const pollux::Device& device, std::uint16_t index) {
  return {.name = device.name(),
          .driver = "toy",
          .card = "invented card",
          .backend = "sim",
          .index = index,
          .limits = pollux::software_limits(1, 1, kMaxFrame - pollux::RxFilter::kHeaderBytes),
          .offloads = pollux::software_offloads(pollux::TxOffload::kChecksums),
          .missed_count = pollux::MissedCount::lower_bound};  // the card has no counters
}

pollux::Result<std::unique_ptr<pollux::PortDriver>> probe(pollux::Context& context,
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
  try {
    return std::make_unique<Port>(context, std::move(device), *bar, *index);
  } catch (...) {
    pollux::return_port_index(context, *index);
    throw;
  }
}

void write(const pollux::Bar& bar, const pollux::Mbuf& frame) noexcept {
  Words words{};
  const std::uint32_t length = frame.packet_length();
  static_cast<void>(frame.copy_out(0, {reinterpret_cast<std::uint8_t*>(words.data()), length}));
  for (std::uint32_t at = 0; at < length; at += 4) bar.write32(kTxData, words[at / 4]);
  bar.write32(kTxSend, length);
}

}  // namespace

// A card's values are untrusted: a length above the limit is not a frame.
std::uint32_t RxQueue::burst(pollux::RxQueue& base, pollux::Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  Words words;
  std::uint32_t count = 0;
  while (count < limit) {
    const std::uint32_t length = queue.bar_.read32(kRxLength);
    if (length == 0) break;
    if (length > kMaxFrame) {
      queue.count_drop(&pollux::RxDrops::bad_length);
      break;
    }
    for (std::uint32_t at = 0; at < length; at += 4) words[at / 4] = queue.bar_.read32(kRxData);
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(words.data()), length);
    if (!queue.admit(bytes.data(), length)) continue;
    if (pollux::MbufPtr frame = queue.copy(bytes)) {
      out[count++] = frame.release();
    } else {
      queue.count_drop(&pollux::RxDrops::pool_empty);
    }
  }
  queue.count_returned(count);
  return count;
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, pollux::Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (queue.reject(mbufs[i])) continue;
    pollux::Mbuf& frame = *mbufs[i];
    if (pollux::complete_checksums(frame) != pollux::ChecksumCompletion::complete) {
      queue.drop(frame, &pollux::TxDrops::shared_checksum);
      continue;
    }
    write(queue.bar_, frame);
    queue.count_sent(frame.packet_length());
    queue.give_back(frame);
  }
  queue.bar_.flush();
  queue.count_taken(count);
  return count;
}

pollux::CardDriver driver() {
  return {.name = "toy",
          .cards = {{.vendor = kVendor, .device = kDevice, .name = "invented card", .not_driven = {}}},
          .probe = probe};
}

Port::Port(const pollux::Context& context, std::unique_ptr<pollux::Device> device, const pollux::Bar& bar,
           std::uint16_t index)
    : QueuedPort(context.state(), describe(*device, index), {.rx = kRxDrops, .tx = kTxDrops}),
      device_(std::move(device)),
      bar_(bar),
      rx_(bar, filter_),
      tx_(bar) {
  add(rx_);
  add(tx_);
  filter_.set_promiscuous(true);
  const std::array words{bar_.read32(kAddressLow), bar_.read32(kAddressHigh)};
  std::memcpy(mac_.data(), words.data(), mac_.size());
}

pollux::Result<void> Port::start() {
  if (auto applied = apply(nullptr, settings()); !applied) return applied;
  bar_.write32(kControl, kEnable);
  if (bar_.read32(kControl) == kEnable) return {};
  return pollux::fail(pollux::ErrorCode::device_fault, info().name + ": the card does not start", "reset it");
}

pollux::Result<void> Port::halt() {
  bar_.write32(kControl, 0);
  bar_.flush();
  return {};
}

// The card receives everything, of every length: it has no filter, and the driver drops what is longer than the MTU
// allows.
pollux::Result<void> Port::apply(const pollux::PlacedSettings*, const pollux::PlacedSettings& to) {
  filter_.set_mtu(to.mtu);
  const pollux::MacAddress mac = mac_of(to);
  std::array<std::uint32_t, 2> words{};
  std::memcpy(words.data(), mac.data(), mac.size());
  bar_.write32(kAddressLow, words[0]);
  bar_.write32(kAddressHigh, words[1]);
  if (bar_.read32(kAddressLow) == words[0] && bar_.read32(kAddressHigh) == words[1]) return {};
  return pollux::fail(pollux::ErrorCode::device_fault,
                      info().name + ": the card does not accept the address " + pollux::to_string(mac), "reset it");
}

pollux::Link Port::link() {
  if ((bar_.read32(kStatus) & kLinkUp) == 0) return {};
  return {.up = true, .speed = 100, .duplex = pollux::Duplex::full, .autonegotiated = false};
}

// The card has no counters to accumulate; this only detects its removal.
pollux::Result<pollux::Duration> Port::service() {
  if (bar_.read32(kIdentity) == kIdentityValue) return pollux::Duration(std::chrono::seconds(1));
  return pollux::fail(pollux::ErrorCode::device_removed, info().name + ": the card was removed", "close the port");
}

pollux::Result<void> Port::release(bool failed) {
  if (!failed) bar_.write32(kControl, 0);
  bar_ = {};
  device_.reset();
  return {};
}

}  // namespace own_driver
