// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/transmit.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

TxRates::TxRates(RegisterFile& registers, Timers& timers) : registers_(registers), timers_(timers) {
  registers_.on_write<hw::RTTDQSEL>(
      [this](std::uint32_t, std::uint32_t value) { selected_ = hw::RTTDQSEL::Value(value).get(hw::RTTDQSEL::QUEUE); });
  registers_.on_write<hw::RTTBCNRC>([this](std::uint32_t, std::uint32_t value) {
    rate_[selected_] = hw::RTTBCNRC::Value(value);
    if (!rate_[selected_].has(hw::RTTBCNRC::RS_ENA)) next_[selected_] = timers_.now();
  });
}

void TxRates::reset() {
  selected_ = 0;
  rate_.fill({});
  next_.fill(Duration(0));
}

void TxRates::sent(std::uint32_t queue, std::size_t bytes) {
  const hw::RTTBCNRC::Value rate = rate_[queue];
  if (!rate.has(hw::RTTBCNRC::RS_ENA)) return;
  constexpr std::array<std::int64_t, 3> kNanosecondsPerByte{800, 80, 8};
  constexpr std::size_t kPreambleAndGap = 20;
  constexpr std::int64_t kOne = 1 << 14;
  const auto on_wire = static_cast<std::int64_t>(bytes + hw::kCrcBytes + kPreambleAndGap) * kNanosecondsPerByte[speed_];
  const std::int64_t factor = std::int64_t{rate.get(hw::RTTBCNRC::RF_INT)} * kOne + rate.get(hw::RTTBCNRC::RF_DEC);
  next_[queue] = std::max(next_[queue], timers_.now()) + Duration(on_wire * factor / kOne);
}

bool Collisions::send() {
  if (!half_duplex_ || injected_.empty()) return true;
  const Contention next = injected_.front();
  injected_.pop_front();
  if (next.deferred) statistics_.count<hw::DC>();
  if (!count_collisions(next.collisions)) return false;
  if (!next.late) return true;
  statistics_.count<hw::LATECOL>();
  return registers_.get<hw::TCTL>().has(hw::TCTL::RTLC);
}

// TCTL.CT is the number of repetitions: with 15, the 16th collision is the last one (IEEE 802.3, attemptLimit).
bool Collisions::count_collisions(std::uint32_t collisions) {
  const std::uint32_t limit = registers_.get<hw::TCTL>().get(hw::TCTL::CT) + 1;
  const bool sent = collisions < limit;
  for (std::uint32_t i = 0; i < std::min(collisions, limit); ++i) statistics_.count<hw::COLC>();
  if (!sent) {
    statistics_.count<hw::ECOL>();
  } else if (collisions == 1) {
    statistics_.count<hw::SCC>();
  } else if (collisions > 1) {
    statistics_.count<hw::MCC>();
  }
  return sent;
}

namespace {

constexpr std::size_t kTypeOffset = 12;

}  // namespace

Transmit::Transmit(RegisterFile& registers, Timers& timers, Dma& dma, Interrupts& interrupts, Statistics& statistics,
                   TimeSync& time, const Pools& pools)
    : registers_(registers),
      timers_(timers),
      link_timer_(timers.add([this] { process_all(0); })),
      work_timer_(timers.add([this] { process_all(request_queue_ + 1); })),  // in turn
      interrupts_(interrupts),
      statistics_(statistics),
      time_(time),
      pools_(pools),
      rates_(registers, timers),
      collisions_(registers, statistics) {
  queues_.reserve(hw::kTxQueues);
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) {
    queues_.emplace_back(registers, dma, i);
    enable_timer_[i] = timers_.add([this, i] {
      queues_[i].set_enabled(!queues_[i].enabled());
      process(i);
    });
    write_back_timer_[i] = timers_.add([this, i] { flush_write_backs(i); });
    rate_timer_[i] = timers_.add([this, i] { process(i); });
  }
  install_hooks();
}

void Transmit::install_hooks() {
  registers_.on_write<hw::TCTL>([this](std::uint32_t, std::uint32_t value) {
    const hw::TCTL::Value written(value);
    registers_.set<hw::TCTL>(written.without(hw::TCTL::SWXOFF));
    if (written.has(hw::TCTL::SWXOFF) && link_up_ && software_pause_) software_pause_();
    for (std::uint32_t queue = 0; queue < hw::kTxQueues; ++queue) schedule_enable(queue);
    process_all(0);
  });
  registers_.on_write<hw::VFTE>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::VFTE>(hw::VFTE::Value(value));
    process_all(0);
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
    requested_[queue] = hw::TXDCTL::Value(value).has(hw::TXDCTL::ENABLE);
    const bool flushes = hw::TXDCTL::Value(value).has(hw::TXDCTL::SWFLUSH);
    if (flushes || queues_[queue].waiting_write_backs() >= queues_[queue].threshold()) flush_write_backs(queue);
    schedule_enable(queue);
  });
}

// [I-QENABLE] A queue is not enabled before TCTL.EN is set.
void Transmit::schedule_enable(std::uint32_t queue) {
  const bool enabled = queues_[queue].enabled();
  const bool allowed = enabled || registers_.get<hw::TCTL>().has(hw::TCTL::EN);
  if (requested_[queue] == enabled || !allowed) return timers_.cancel(enable_timer_[queue]);
  if (!timers_.running(enable_timer_[queue])) timers_.start(enable_timer_[queue], kEnableTime);
}

void Transmit::reset_queue(std::uint32_t number) {
  timers_.cancel(enable_timer_[number]);
  timers_.cancel(write_back_timer_[number]);
  queues_[number].reset();
  requested_[number] = queues_[number].enabled();
  if (request_queue_ == number) request_.discard();
}

void Transmit::disable_queue(std::uint32_t number) {
  reset_queue(number);
  queues_[number].set_enabled(false);
  requested_[number] = false;
}

void Transmit::reset() {
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) reset_queue(i);
  timers_.cancel(work_timer_);
  link_up_ = false;
  registers_.set<hw::TCTL>(hw::TCTL::PSP | hw::TCTL::CT(0xF) | hw::TCTL::COLD(0x40));
  rates_.reset();
  registers_.set<hw::TIPG>(hw::TIPG::IPGT(8) | hw::TIPG::IPGR1(4) | hw::TIPG::IPGR2(6));
}

// [I-M-TXLINK] Without a link no descriptors are fetched, as Linux describes the hardware (igb_main.c,
// igb_watchdog_task: the controller stops DMA when it loses the link). QEMU's card sends and the frames are lost.
// What waits for the link is sent once the partner has a link, too: both get it at the same time, one after the other.
void Transmit::set_link(bool up) {
  link_up_ = up;
  if (up) timers_.start(link_timer_, Duration::zero());
}

/// Sends what all queues have, first that of queue `first`.
void Transmit::process_all(std::uint32_t first) {
  for (std::uint32_t i = 0; i < hw::kTxQueues; ++i) process((first + i) % hw::kTxQueues);
}

void Transmit::hold(Hold why, bool held) {
  const auto bit = static_cast<unsigned>(why);
  const unsigned before = holds_;
  holds_ = static_cast<std::uint8_t>(held ? before | bit : before & ~bit);
  if (before != 0 && holds_ == 0) process_all(0);
}

void Transmit::process(std::uint32_t number) {
  if (!link_up_ || !registers_.get<hw::TCTL>().has(hw::TCTL::EN)) return;
  if (processing_) {
    process_again_ = true;
    return;
  }
  processing_ = true;
  continue_request();
  current_ = number;
  if (pools_.may_send(hw::pool_of(number)) && queues_[number].process(*this)) finish_write_backs(number);
  if (rates_.waits(number)) timers_.start(rate_timer_[number], rates_.wait(number));
  processing_ = false;
  if (!may_work()) {
    process_again_ = false;
    if (!timers_.running(work_timer_)) timers_.start(work_timer_, WorkBudget::kPause);
  }
  if (std::exchange(process_again_, false)) process_all(0);
}

void Transmit::finish_write_backs(std::uint32_t number) {
  CardTxQueue& queue = queues_[number];
  if (queue.waiting_write_backs() == 0) return interrupts_.raise_transmit(number);
  const std::optional<Duration> interval = interrupts_.transmit_interval(number);
  if (queue.waiting_write_backs() >= queue.threshold() || interval == Duration(0)) {
    flush_write_backs(number);
  } else if (interval && !timers_.running(write_back_timer_[number])) {
    timers_.start(write_back_timer_[number], *interval);
  }
}

void Transmit::flush_write_backs(std::uint32_t number) {
  timers_.cancel(write_back_timer_[number]);
  if (queues_[number].flush_write_backs()) interrupts_.raise_transmit(number);
}

void Transmit::send(std::uint32_t number, TxFrame& frame) {
  if (frame.unsupported) return void(++losses_.unsupported);
  if (frame.unreadable) return void(++losses_.unreadable);
  if (frame.too_long) return void(++losses_.too_long);
  if (frame.bytes.empty()) return void(++losses_.empty);
  if (reject_forged(number, frame)) return;
  if ((frame.flags & intel::tx::kInsertCrc) == 0) return send_with_own_fcs(number, frame.bytes, frame.flags);
  request_queue_ = number;
  if ((frame.flags & TxOffload::kFlags) == 0) {
    return send_to_wire(number, frame.bytes, frame.flags, intel::tx::context_of(frame.context).vlan);
  }
  if (!request_.start(frame.bytes, frame.flags, frame.context)) return void(++losses_.bad_offload);
  if ((frame.flags & intel::tx::kSegment) != 0) statistics_.count<hw::TSCTC>();
  continue_request();
}

/// [I-NOFCS] Without IFCS the frame's last four bytes are the FCS. A receiver discards the frame if they are wrong; no
/// other pool of this card gets it.
void Transmit::send_with_own_fcs(std::uint32_t number, std::span<const std::byte> frame, std::uint64_t flags) {
  if (frame.size() < hw::kMinFrameBytes) return void(++losses_.without_crc);
  const auto body = frame.first(frame.size() - hw::kCrcBytes);
  if (budget_ != nullptr) budget_->charge(kCrcWork * body.size());
  const std::uint32_t right = frame_check_sequence(body);
  if (std::memcmp(&right, frame.data() + body.size(), sizeof right) == 0) return send_to_wire(number, body, flags, 0);
  if (!collisions_.send()) return;
  statistics_.sent(body);
  rates_.sent(number, body.size());
  if (corrupt_out_) corrupt_out_(body);
}

/// Sends the frames of the current request, as far as the wire takes them.
void Transmit::continue_request() {
  while (link_up_ && holds_ == 0 && may_work() && !request_.finished()) {
    const std::span<const std::byte> frame = request_.next();
    const std::size_t work = request_.makes_crc() ? kCrcWork : 1;
    if (budget_ != nullptr) budget_->charge(work * frame.size());  // a frame between pools does not reach the wire
    send_to_wire(request_queue_, frame, request_.flags(), request_.vlan());
  }
}

// A queue's bit in WVBR: Linux, igb_main.c, igb_spoof_check. The interrupt: igb_msix_other, on ICR.DOUTSYNC.
bool Transmit::reject_forged(std::uint32_t number, const TxFrame& frame) {
  if (!pools_.enabled() || frame.bytes.size() < kMacHeaderBytes) return false;
  const std::uint32_t pool = hw::pool_of(number);
  // The outer tag as it would leave the card.
  auto tag = inserted_tag(number, frame.flags, intel::tx::context_of(frame.context).vlan);
  if (!tag && frame.bytes.size() >= kMacHeaderBytes + hw::kVlanTagBytes &&
      read_big16(frame.bytes, kTypeOffset) == registers_.get<hw::VET>().get(hw::VET::TYPE)) {
    tag = read_big16(frame.bytes, kTypeOffset + 2);
  }
  const bool forged = pools_.forged(frame.bytes, pool);
  if (!forged && !(tag && pools_.foreign_vlan(*tag, pool))) return false;
  ++(forged ? losses_.forged : losses_.foreign_vlan);
  registers_.set<hw::WVBR>(hw::WVBR::Value(registers_.get<hw::WVBR>().raw() | bit(number)));
  interrupts_.raise(hw::ICR::DOUTSYNC);
  return true;
}

// VMVIR replaces the tag that a pool requests: QEMU, igb_core.c, igb_tx_insert_vlan.
std::optional<std::uint16_t> Transmit::inserted_tag(std::uint32_t number, std::uint64_t flags,
                                                    std::uint16_t vlan) const {
  const bool requested = (flags & intel::tx::kInsertVlan) != 0;
  if (!pools_.enabled()) return requested ? std::optional(vlan) : std::nullopt;
  const hw::VMVIR::Value own = registers_.get<hw::VMVIR>(hw::pool_of(number));
  if (own.has(hw::VMVIR::ALWAYS_DEFAULT)) return static_cast<std::uint16_t>(own.get(hw::VMVIR::TAG));
  return requested && !own.has(hw::VMVIR::NEVER_INSERT) ? std::optional(vlan) : std::nullopt;
}

void Transmit::send_to_wire(std::uint32_t number, std::span<const std::byte> frame, std::uint64_t flags,
                            std::uint16_t vlan) {
  const std::optional<std::uint16_t> inserted = inserted_tag(number, flags, vlan);
  const bool tag = inserted && frame.size() >= kMacHeaderBytes;
  const std::span<const std::byte> bytes = with_tag_and_padding(frame, tag, inserted.value_or(0));
  const std::uint32_t pool = hw::pool_of(number);
  const bool inside = pools_.switches() && switch_ && switch_(bytes, pool);
  if (pools_.enabled()) statistics_.sent_by_pool(pool, bytes, inside);
  if (inside) return;
  if (!collisions_.send()) return;
  statistics_.sent(bytes);
  rates_.sent(number, bytes.size());
  if ((flags & intel::tx::kTimeStamp) != 0) time_.sent();
  if (out_) out_(bytes);
}

std::span<const std::byte> Transmit::with_tag_and_padding(std::span<const std::byte> frame, bool tag,
                                                          std::uint16_t vlan) {
  const std::size_t size = frame.size() + (tag ? hw::kVlanTagBytes : 0);
  const bool pad = size + hw::kCrcBytes < hw::kMinFrameBytes && registers_.get<hw::TCTL>().has(hw::TCTL::PSP);
  if (!tag && !pad) return frame;
  outgoing_.assign(frame.begin(), frame.end());
  if (tag) {
    const std::uint32_t type = registers_.get<hw::VET>().get(hw::VET::TYPE);
    const std::array<std::byte, 4> inserted{static_cast<std::byte>(type >> 8), static_cast<std::byte>(type & 0xFF),
                                            static_cast<std::byte>(vlan >> 8), static_cast<std::byte>(vlan & 0xFF)};
    outgoing_.insert(outgoing_.begin() + 12, inserted.begin(), inserted.end());
  }
  if (pad) outgoing_.resize(hw::kMinFrameBytes - hw::kCrcBytes);
  return outgoing_;
}

}  // namespace pollux::models::igb
