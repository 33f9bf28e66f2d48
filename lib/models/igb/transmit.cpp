// SPDX-License-Identifier: BSD-3-Clause
#include "models/igb/transmit.hpp"

#include "models/igb/frame.hpp"

namespace pollux::models::igb {

Transmit::Transmit(RegisterFile& registers, Timers& timers, Dma& dma, Interrupts& interrupts, Statistics& statistics)
    : registers_(registers), timers_(timers), interrupts_(interrupts), statistics_(statistics) {
  queues_.reserve(hw::kTxQueues);
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) {
    queues_.emplace_back(registers, dma, i);
    switch_[i] = timers_.add([this, i] {
      queues_[i].set_enabled(!queues_[i].enabled());
      process(i);
    });
  }
  hang_on_registers();
}

void Transmit::hang_on_registers() {
  registers_.on_write<hw::TCTL>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::TCTL>(hw::TCTL::Value(value));
    for (std::uint32_t queue = 0; queue < hw::kTxQueues; ++queue) schedule_switch(queue);
    process_all();
  });
  registers_.on_write<hw::TDBAL>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::TDBAL>(queue, hw::TDBAL::Value(value & ~(hw::kRingAlignment - 1)));
  });
  registers_.on_write<hw::TDLEN>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::TDLEN>(queue, hw::TDLEN::Value(value & hw::TDLEN::LEN.mask()));
  });
  registers_.on_write<hw::TDH>([this](std::uint32_t queue, std::uint32_t value) { queues_[queue].write_head(value); });
  registers_.on_write<hw::TDT>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::TDT>(queue, hw::TDT::TAIL(value));
    process(queue);
  });
  registers_.on_write<hw::TXDCTL>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::TXDCTL>(queue, hw::TXDCTL::Value(value).without(hw::TXDCTL::SWFLUSH));
    queues_[queue].set_enabled(queues_[queue].enabled());
    wanted_[queue] = hw::TXDCTL::Value(value).has(hw::TXDCTL::ENABLE);
    schedule_switch(queue);
  });
}

// [I-QENABLE] A queue does not come on before TCTL.EN is set.
void Transmit::schedule_switch(std::uint32_t queue) {
  const bool is = queues_[queue].enabled();
  const bool may = is || registers_.get<hw::TCTL>().has(hw::TCTL::EN);
  if (wanted_[queue] == is || !may) return timers_.cancel(switch_[queue]);
  if (!timers_.running(switch_[queue])) timers_.start(switch_[queue], kEnableTime);
}

void Transmit::reset() {
  for (const Timers::Id id : switch_) timers_.cancel(id);
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) {
    queues_[i].reset();
    wanted_[i] = queues_[i].enabled();
  }
  link_up_ = false;
  registers_.set<hw::TCTL>(hw::TCTL::PSP | hw::TCTL::CT(0xF) | hw::TCTL::COLD(0x40));
  registers_.set<hw::TIPG>(hw::TIPG::IPGT(8) | hw::TIPG::IPGR1(4) | hw::TIPG::IPGR2(6));
}

// [I-M-TXLINK] Without a link nothing is fetched and descriptors stay where they are, as Linux describes the silicon
// (igb_main.c, igb_watchdog_task: the controller stops DMA when it loses the link); QEMU's card sends into nowhere.
void Transmit::set_link(bool up) {
  link_up_ = up;
  process_all();
}

void Transmit::process_all() {
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) process(i);
}

void Transmit::process(std::uint32_t number) {
  if (!link_up_ || !registers_.get<hw::TCTL>().has(hw::TCTL::EN)) return;
  const bool reported = queues_[number].process([this, number](const TxFrame& frame) { send(number, frame); });
  if (reported) interrupts_.raise_transmit(number);
}

void Transmit::send(std::uint32_t number, const TxFrame& frame) {
  if (frame.unsupported) return void(++losses_.unsupported);
  if (frame.unreadable) return void(++losses_.unreadable);
  if (frame.too_long) return void(++losses_.too_long);
  if (frame.bytes.empty()) return void(++losses_.empty);
  // [I-M-OFFLOAD]
  constexpr std::uint64_t kOffloads = hw::tx::kSegment | hw::tx::kInsertIpChecksum | hw::tx::kInsertL4Checksum;
  if ((frame.flags & kOffloads) != 0) ++offloads_skipped_;
  outgoing_ = frame.bytes;
  if ((frame.flags & hw::tx::kInsertVlan) != 0 && outgoing_.size() >= kMacHeaderBytes) {
    const hw::Descriptor& context = queues_[number].contexts()[frame.flags >> hw::tx::kContextShift & 1];
    const std::uint32_t type = registers_.get<hw::VET>().get(hw::VET::TYPE);
    const auto tag = static_cast<std::uint32_t>(context.lo >> hw::tx::kVlanShift & 0xFFFF);
    const std::array<std::byte, 4> inserted{static_cast<std::byte>(type >> 8), static_cast<std::byte>(type & 0xFF),
                                            static_cast<std::byte>(tag >> 8), static_cast<std::byte>(tag & 0xFF)};
    outgoing_.insert(outgoing_.begin() + 12, inserted.begin(), inserted.end());
  }
  // Without IFCS software's last four bytes are the FCS; a receiver discards the frame unless they are right.
  if ((frame.flags & hw::tx::kInsertCrc) == 0) return void(++losses_.without_crc);
  if (registers_.get<hw::TCTL>().has(hw::TCTL::PSP) && outgoing_.size() + hw::kCrcBytes < hw::kMinFrameBytes) {
    outgoing_.resize(hw::kMinFrameBytes - hw::kCrcBytes);
  }
  statistics_.sent(outgoing_);
  if (out_) out_(outgoing_);
}

}  // namespace pollux::models::igb
