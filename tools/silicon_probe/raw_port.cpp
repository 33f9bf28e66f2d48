// SPDX-License-Identifier: BSD-3-Clause
#include "silicon_probe/raw_port.hpp"

#include <algorithm>
#include <cstring>

#include "drivers/intel/common/card.hpp"
#include "drivers/intel/gigabit/link.hpp"
#include "drivers/intel/gigabit/phy.hpp"
#include "drivers/intel/igb/bring_up.hpp"
#include "drivers/intel/igb/filters.hpp"
#include "drivers/intel/queue/queue_port.hpp"
#include "pollux/base/io.hpp"

namespace pollux::silicon {
namespace {

using hw::intel::Descriptor;

// Offsets in a port's memory. Two buffers of the transmit ring begin in one page and end in the next.
constexpr std::size_t kRxRingsAt = 0;
constexpr std::size_t kRingBytes = RawPort::kSlots * sizeof(Descriptor);
constexpr std::size_t kTxRingAt = kRxRingsAt + RawPort::kQueues * kRingBytes;
constexpr std::size_t kTxBuffersAt = 16384;
constexpr std::size_t kRxBuffersAt = kTxBuffersAt + RawPort::kSlots * std::size_t{2} * RawPort::kBufferBytes;
constexpr std::size_t kMemory = kRxBuffersAt + std::size_t{RawPort::kQueues} * RawPort::kSlots * RawPort::kBufferBytes;
constexpr Duration kSendLimit = milliseconds(100);

/// Some steps of the driver need the device itself.
template <class Card>
void name_device(Card& card, Device& device) {
  if constexpr (requires { card.device; }) card.device = &device;
}

}  // namespace

Result<std::unique_ptr<RawPort>> RawPort::open(Context& context, std::unique_ptr<Device> device) {
  const reg::CardTraits* const traits = reg::find_card(device->identity());
  if (traits == nullptr || traits->media != reg::Media::copper) {
    return fail(ErrorCode::not_supported, device->name() + ": this is not an 82576 with copper ports",
                "'pollux list' shows which cards are");
  }
  auto bar = drivers::intel::map_and_reset(*device, reg::kRegisterBar, reg::kRegisterBytes);
  if (!bar) return pass_on(std::move(bar));
  std::unique_ptr<RawPort> port(new RawPort(context, std::move(device), *traits));
  port->card_.regs = reg::Registers(*bar);
  name_device(port->card_, *port->device_);
  if (port->regs().removed()) return drivers::igb::fail_removed(port->card_.name);
  if (auto mode = drivers::gigabit::check_link_mode(port->card_); !mode) return pass_on(std::move(mode));
  return port;
}

RawPort::RawPort(Context& context, std::unique_ptr<Device> device, const reg::CardTraits& traits)
    : context_(context),
      device_(std::move(device)),
      card_{{{.regs = {}, .context = context.state(), .name = device_->name()}, reg::family_of(traits), device_.get()},
            &traits} {}

// The memory must not be freed while the card can still write to it.
RawPort::~RawPort() {
  static_cast<void>(quiet());
  device_.reset();
}

Result<void> RawPort::allocate() {
  auto memory = context_.allocate({.size = kMemory, .purpose = "probes"});
  if (!memory) return pass_on(std::move(memory));
  if (memory->segments().size() != 1) {
    return fail(ErrorCode::no_memory, "the memory for the probes is not contiguous for the card",
                "give the card an IOMMU, or reserve huge pages of 2 MiB soon after the machine's start");
  }
  memory_ = *std::move(memory);
  return {};
}

Result<void> RawPort::reset() {
  if (auto done = drivers::igb::reset_card(card_); !done) return done;
  drivers::igb::clear_filters(card_);
  mac_ = drivers::gigabit::read_own_address(card_);
  drivers::igb::announce_driver(card_, true);
  clear_counters();
  std::memset(memory_.segments()[0].address, 0, kMemory);
  tx_next_ = 0;
  return device_->set_bus_master(true);
}

Result<void> RawPort::quiet() {
  if (regs().removed()) return drivers::igb::fail_removed(card_.name);
  regs().write<reg::RCTL>({});
  regs().write<reg::TCTL>({});
  auto reset = drivers::igb::reset_card(card_);
  drivers::igb::announce_driver(card_, false);
  auto off = device_->set_bus_master(false);
  return reset ? off : reset;
}

// The MAC as in the driver's start_link; the PHY is not reset, since that would end the link that it has.
Result<void> RawPort::start_link() {
  const auto control = regs().read<reg::CTRL>();
  if (control.all_ones()) return drivers::igb::fail_removed(card_.name);
  regs().write<reg::CTRL>(control.with(reg::CTRL::SLU)
                              .without(reg::CTRL::FRCSPD | reg::CTRL::FRCDPX | reg::CTRL::ILOS)
                              .without(reg::CTRL::RFCE | reg::CTRL::TFCE));
  return drivers::gigabit::set_up_phy(card_, {}, 0);
}

Result<void> RawPort::wait_for_link() {
  return drivers::intel::wait_for(
      card_, "STATUS.LU after autonegotiation", kLinkLimit,
      [&] { return regs().read<reg::STATUS>().has(reg::STATUS::LU); }, milliseconds(5));
}

Descriptor RawPort::armed(std::uint32_t queue, std::uint32_t slot) const {
  const std::byte* const buffer = rx_buffer(queue, slot);
  return hw::intel::rx::armed(iova_of(buffer), has_headers_[queue] ? iova_of(buffer + kHeadersAt) : 0);
}

void RawPort::program_rx(std::uint32_t queue, const RxSetup& setup) {
  Descriptor* const ring = rx_ring(queue);
  has_headers_[queue] = setup.has_headers;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) ring[slot] = armed(queue, slot);
  const std::uint64_t at = iova_of(ring);
  regs().write<reg::RXDCTL>(queue, {});
  regs().write<reg::RDBAL>(queue, reg::RDBAL::Value(static_cast<std::uint32_t>(at)));
  regs().write<reg::RDBAH>(queue, reg::RDBAH::Value(static_cast<std::uint32_t>(at >> 32)));
  regs().write<reg::RDLEN>(queue, reg::RDLEN::Value(kRingBytes));
  regs().write<reg::RDH>(queue, {});
  regs().write<reg::RDT>(queue, {});
  regs().write<reg::SRRCTL>(queue, setup.format | reg::SRRCTL::BSIZEPACKET(setup.buffer_kib));
  rx_next_[queue] = 0;
  rx_tail_[queue] = 0;
}

Result<void> RawPort::open_rx(std::uint32_t queue, const RxSetup& setup) {
  program_rx(queue, setup);
  regs().write<reg::RXDCTL>(queue, reg::RXDCTL::ENABLE | reg::RXDCTL::WTHRESH(setup.threshold));
  auto enabled = drivers::intel::wait_for(card_, "RXDCTL.ENABLE", milliseconds(20),
                                          [&] { return regs().read<reg::RXDCTL>(queue).has(reg::RXDCTL::ENABLE); });
  if (!enabled) return enabled;
  rx_tail_[queue] = setup.armed;
  regs().write<reg::RDT>(queue, reg::RDT::TAIL(setup.armed));
  regs().flush();
  return {};
}

void RawPort::program_tx() {
  const std::uint64_t at = iova_of(tx_ring());
  regs().write<reg::TXDCTL>(0, {});
  regs().write<reg::TDBAL>(0, reg::TDBAL::Value(static_cast<std::uint32_t>(at)));
  regs().write<reg::TDBAH>(0, reg::TDBAH::Value(static_cast<std::uint32_t>(at >> 32)));
  regs().write<reg::TDLEN>(0, reg::TDLEN::Value(kRingBytes));
  regs().write<reg::TDH>(0, {});
  regs().write<reg::TDT>(0, {});
  tx_next_ = 0;
}

Result<void> RawPort::open_tx() {
  program_tx();
  regs().write<reg::TXDCTL>(0, reg::TXDCTL::ENABLE | reg::TXDCTL::WTHRESH(1));
  regs().write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::PSP | reg::TCTL::CT(15));
  return drivers::intel::wait_for(card_, "TXDCTL.ENABLE", milliseconds(20),
                                  [&] { return regs().read<reg::TXDCTL>(0).has(reg::TXDCTL::ENABLE); });
}

void RawPort::receive_all(reg::RCTL::Setting more) {
  regs().write<reg::RCTL>(
      reg::RCTL::Value((reg::RCTL::RXEN | reg::RCTL::UPE | reg::RCTL::MPE | reg::RCTL::BAM | reg::RCTL::SECRC).bits())
          .with(more));
  regs().flush();
}

std::optional<std::uint32_t> RawPort::put(std::span<const std::uint8_t> frame, std::uint64_t flags,
                                          std::uint32_t offset) {
  if (frame.size() + offset > std::size_t{2} * kBufferBytes) return std::nullopt;
  const std::uint32_t slot = tx_next_;
  std::byte* const at = tx_buffer(slot) + offset;
  std::memcpy(at, frame.data(), frame.size());
  const auto bytes = static_cast<std::uint32_t>(frame.size());
  Descriptor made = hw::intel::tx::data(iova_of(at), bytes, bytes, hw::intel::tx::kEndOfPacket);
  made.hi = (made.hi & ~hw::intel::tx::kInsertCrc) | flags;
  tx_ring()[slot] = made;
  tx_next_ = (slot + 1) % kSlots;
  return slot;
}

void RawPort::ring_doorbell() {
  io::io_wmb();
  regs().write<reg::TDT>(0, reg::TDT::TAIL(tx_next_));
  regs().flush();
}

Result<void> RawPort::send(std::span<const std::uint8_t> frame, std::uint64_t without) {
  const auto slot = put(frame, (hw::intel::tx::kInsertCrc | hw::intel::tx::kReportStatus) & ~without);
  if (!slot) return fail(ErrorCode::invalid_argument, "a probe's frame is longer than its buffer");
  ring_doorbell();
  return drivers::intel::wait_for(card_, "a transmit descriptor's done bit", kSendLimit, [&] { return sent(*slot); });
}

bool RawPort::sent(std::uint32_t slot) const { return hw::intel::tx::done(io::load_acquire(tx_ring()[slot].hi)); }

bool RawPort::done(std::uint32_t queue, std::uint32_t slot) const {
  return hw::intel::rx::done(io::load_acquire(rx_ring(queue)[slot].hi));
}

std::vector<Received> RawPort::receive(std::uint32_t queue, std::size_t count, Duration limit) {
  std::vector<Received> all;
  while (all.size() < count) {
    const std::uint32_t slot = rx_next_[queue];
    if (!time_until(limit, [&] { return done(queue, slot); })) break;
    Descriptor& written = rx_ring(queue)[slot];
    Received got{written.lo, io::load_acquire(written.hi), {}};
    const std::byte* const data = rx_buffer(queue, slot);
    const std::size_t bytes = std::min<std::size_t>(hw::intel::rx::length(got.high), kBufferBytes);
    got.bytes.resize(bytes);
    if (bytes != 0) std::memcpy(got.bytes.data(), data, bytes);
    if (has_headers_[queue]) {
      const auto* const headers = reinterpret_cast<const std::uint8_t*>(data + kHeadersAt);
      got.headers.assign(headers, headers + hw::intel::rx::header_length(got.low));
    }
    all.push_back(std::move(got));
    written = armed(queue, slot);
    rx_next_[queue] = (slot + 1) % kSlots;
    rx_tail_[queue] = (rx_tail_[queue] + 1) % kSlots;
    io::io_wmb();
    regs().write<reg::RDT>(queue, reg::RDT::TAIL(rx_tail_[queue]));
  }
  regs().flush();
  return all;
}

std::optional<Duration> RawPort::time_until(Duration limit, const std::function<bool()>& condition) const {
  const Duration start = clock().now();
  while (!condition()) {
    if (clock().now() - start >= limit) {
      if (condition()) break;
      return std::nullopt;
    }
    sleep(microseconds(20));
  }
  return clock().now() - start;
}

void RawPort::clear_counters() const {
  const auto& left_out = card_.traits->unread_counters;
  for (const RegisterInfo& info : reg::kStatisticsRegisters) {
    if (std::find(left_out.begin(), left_out.end(), info.name) != left_out.end()) continue;
    static_cast<void>(regs().bar().read32(info.offset));
  }
  for (std::uint32_t queue = 0; queue < kQueues; ++queue) regs().read_and_clear<reg::RQDPC>(queue);
}

Descriptor* RawPort::rx_ring(std::uint32_t queue) const {
  return reinterpret_cast<Descriptor*>(memory_.segments()[0].address + kRxRingsAt + queue * kRingBytes);
}

Descriptor* RawPort::tx_ring() const {
  return reinterpret_cast<Descriptor*>(memory_.segments()[0].address + kTxRingAt);
}

std::byte* RawPort::rx_buffer(std::uint32_t queue, std::uint32_t slot) const {
  return memory_.segments()[0].address + kRxBuffersAt + (std::size_t{queue} * kSlots + slot) * kBufferBytes;
}

std::byte* RawPort::tx_buffer(std::uint32_t slot) const {
  return memory_.segments()[0].address + kTxBuffersAt + slot * std::size_t{2} * kBufferBytes;
}

std::uint64_t RawPort::iova_of(const void* address) const { return memory_.iova_of(address, 1); }

}  // namespace pollux::silicon
