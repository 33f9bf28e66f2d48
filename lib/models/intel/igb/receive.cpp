// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/receive.hpp"

#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

Receive::Receive(RegisterFile& registers, Timers& timers, Dma& dma, Interrupts& interrupts, Statistics& statistics,
                 TimeSync& time, std::uint32_t exact_addresses)
    : registers_(registers),
      timers_(timers),
      interrupts_(interrupts),
      statistics_(statistics),
      time_(time),
      filter_(registers, exact_addresses),
      pools_(registers, filter_) {
  queues_.reserve(hw::kRxQueues);
  for (std::uint32_t i = 0; i < hw::kRxQueues; ++i) {
    queues_.emplace_back(registers, dma, i);
    enable_timer_[i] = timers_.add([this, i] {
      queues_[i].set_enabled(!queues_[i].enabled());
      drain();
    });
    write_back_timer_[i] = timers_.add([this, i] { flush_write_backs(i); });
  }
  install_hooks();
}

void Receive::install_hooks() {
  registers_.on_write<hw::RCTL>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::RCTL>(hw::RCTL::Value(value));
    if (!hw::RCTL::Value(value).has(hw::RCTL::RXEN)) flush();
    for (std::uint32_t queue = 0; queue < hw::kRxQueues; ++queue) schedule_enable(queue);
    drain();
  });
  registers_.on_write<hw::RDBAL>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::RDBAL>(queue, hw::RDBAL::Value(value & ~(hw::kRingAlignment - 1)));
  });
  registers_.on_write<hw::RDLEN>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::RDLEN>(queue, hw::RDLEN::Value(value & hw::RDLEN::LEN.mask()));
  });
  registers_.on_write<hw::RDH>([this](std::uint32_t queue, std::uint32_t value) { queues_[queue].write_head(value); });
  registers_.on_write<hw::RDT>([this](std::uint32_t queue, std::uint32_t value) {
    queues_[queue].write_tail(value);
    drain();
  });
  registers_.on_write<hw::SRRCTL>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::SRRCTL>(queue, hw::SRRCTL::Value(value));
    drain();
  });
  registers_.on_write<hw::QDE>([this](std::uint32_t, std::uint32_t value) {
    registers_.set<hw::QDE>(hw::QDE::Value(value));
    drain();
  });
  registers_.on_write<hw::RXDCTL>([this](std::uint32_t queue, std::uint32_t value) {
    registers_.set<hw::RXDCTL>(queue, hw::RXDCTL::Value(value).without(hw::RXDCTL::SWFLUSH));
    queues_[queue].set_enabled(queues_[queue].enabled());
    requested_[queue] = hw::RXDCTL::Value(value).has(hw::RXDCTL::ENABLE);
    const bool flushes = hw::RXDCTL::Value(value).has(hw::RXDCTL::SWFLUSH);
    if (flushes || queues_[queue].waiting_write_backs() >= queues_[queue].threshold()) flush_write_backs(queue);
    schedule_enable(queue);
  });
}

// [I-QENABLE] A queue is not enabled before RCTL.RXEN is set.
void Receive::schedule_enable(std::uint32_t queue) {
  const bool enabled = queues_[queue].enabled();
  const bool allowed = enabled || registers_.get<hw::RCTL>().has(hw::RCTL::RXEN);
  if (requested_[queue] == enabled || !allowed) return timers_.cancel(enable_timer_[queue]);
  if (!timers_.running(enable_timer_[queue])) timers_.start(enable_timer_[queue], kEnableTime);
}

void Receive::reset() {
  flush();
  for (std::uint32_t i = 0; i < hw::kRxQueues; ++i) reset_queue(i);
  filter_.reset();
  pools_.reset();
  registers_.set<hw::RXCSUM>(hw::RXCSUM::IPOFL | hw::RXCSUM::TUOFL);
}

void Receive::reset_queue(std::uint32_t number) {
  timers_.cancel(enable_timer_[number]);
  timers_.cancel(write_back_timer_[number]);
  queues_[number].reset();
  requested_[number] = queues_[number].enabled();
}

void Receive::disable_queue(std::uint32_t number) {
  reset_queue(number);
  queues_[number].set_enabled(false);
  requested_[number] = false;
}

void Receive::flush() {
  losses_.flushed += buffer_.size();
  buffer_.clear();
  set_level(0);
}

void Receive::set_level(std::size_t bytes) {
  buffered_bytes_ = bytes;
  if (level_) level_(bytes);
}

void Receive::charge_crc(std::size_t bytes) const noexcept {
  if (budget_ != nullptr) budget_->charge(kCrcWork * bytes);
}

std::size_t Receive::capacity() const {
  const hw::CardTraits& traits = registers_.traits();
  if (!traits.buffers.adjustable) return traits.receive_buffer;
  return std::size_t{registers_.get<hw::RXPBS>().get(hw::RXPBS::SIZE)} * 1024;
}

bool Receive::has_room() const {
  return registers_.get<hw::RCTL>().has(hw::RCTL::RXEN) && buffered_bytes_ + hw::kMaxFrameBytes <= capacity();
}

// [I-M-SHORT] A frame of a wrong length that is stored is no good one, and its descriptor does not tell: RXE stands for
// a wrong frame check sequence (I210 datasheet, 7.1.4.1).
Receive::Passes Receive::passes(std::span<const std::byte> frame, const Headers& headers, Filter::Match match) {
  if (match == Filter::Match::rejected || !filter_.vlan(headers)) {
    ++losses_.not_for_us;
    return Passes::no;
  }
  statistics_.arrived(frame.size() + hw::kCrcBytes);
  const Filter::Length length = filter_.length(frame.size(), headers);
  if (length == Filter::Length::good) return Passes::as_good;
  statistics_.count<hw::RLEC>();
  if (length == Filter::Length::short_frame) {
    statistics_.count<hw::RUC>();
  } else {
    statistics_.count<hw::ROC>();
  }
  return registers_.get<hw::RCTL>().has(hw::RCTL::SBP) ? Passes::as_bad : Passes::no;
}

intel::rx::WriteBack Receive::describe(std::span<const std::byte> frame, const Headers& headers,
                                       const RssChoice& choice, Filter::Match match) const {
  intel::rx::WriteBack what;
  if (headers.ipv4 != 0)
    what.packet_type |= intel::rx::kTypeIpv4 | (headers.ip_options ? intel::rx::kTypeIpv4Options : 0);
  if (headers.ipv6 != 0)
    what.packet_type |= intel::rx::kTypeIpv6 | (headers.ip_options ? intel::rx::kTypeIpv6Extensions : 0);
  if (headers.tcp != 0) what.packet_type |= intel::rx::kTypeTcp;
  if (headers.udp != 0) what.packet_type |= intel::rx::kTypeUdp;
  if (headers.sctp != 0) what.packet_type |= intel::rx::kTypeSctp;
  const hw::RXCSUM::Value checksums = registers_.get<hw::RXCSUM>();
  if (choice.enabled) {
    what.rss = choice.type;
    what.hash = choice.hash;
  } else if (!checksums.has(hw::RXCSUM::PCSD) && headers.ipv4 != 0) {
    what.hash = read_big16(frame, headers.ipv4 + 4);  // [I-M-PCSD]
  }
  if (headers.ipv4 != 0 || headers.ipv6 != 0) {
    if (headers.sctp != 0 && checksums.has(hw::RXCSUM::CRCOFL)) charge_crc(frame.size());
    what.status |= checksum_status(frame, headers, checksums, registers_.get<hw::RFCTL>());
  }
  if (match == Filter::Match::inexact) what.status |= intel::rx::kInexact;
  return what;
}

// Where the headers of the frame end in the queue's buffer, which has no tag that is stripped; 0: it is not split.
std::uint16_t Receive::split_of(std::span<const std::byte> frame, const Headers& headers,
                                const intel::rx::WriteBack& write_back, std::uint32_t queue) const {
  const std::uint16_t end =
      split_point(frame, headers, registers_.get<hw::PSRTYPE>(hw::pool_of(queue)), registers_.get<hw::RFCTL>());
  const bool strips = (write_back.status & intel::rx::kVlan) != 0;
  return static_cast<std::uint16_t>(end != 0 && strips ? end - hw::kVlanTagBytes : end);
}

bool Receive::has_outer_tags() const { return registers_.get<hw::CTRL_EXT>().has(hw::CTRL_EXT::EXT_VLAN); }

Headers Receive::parsed(std::span<const std::byte> frame) const {
  const hw::VET::Value types = registers_.get<hw::VET>();
  TagTypes tags{.inner = static_cast<std::uint16_t>(types.get(hw::VET::TYPE))};
  if (has_outer_tags()) tags.outer = static_cast<std::uint16_t>(types.get(hw::VET::OUTER_TYPE));
  return parse(frame, tags);
}

void Receive::frame(std::span<const std::byte> frame, bool link_up) {
  if (!link_up || !registers_.get<hw::RCTL>().has(hw::RCTL::RXEN)) {
    ++losses_.not_receiving;
    return;
  }
  if (frame.size() < kMacHeaderBytes) {
    statistics_.count<hw::RUC>();
    return;
  }
  const Headers headers = parsed(frame);
  const Filter::Match match = filter_.address(frame);
  const Passes passed = passes(frame, headers, match);
  if (passed == Passes::no) return;
  const RssChoice choice = rss_choice(registers_, frame, headers);
  intel::rx::WriteBack write_back = describe(frame, headers, choice, match);
  std::uint32_t queue = filtered_queue(registers_, frame, headers).value_or(choice.queue);
  if (const std::optional<std::uint32_t> filter = filter_.ether_type(headers); filter) {
    const hw::ETQF::Value fields = registers_.get<hw::ETQF>(*filter);
    write_back.packet_type = intel::rx::kTypeEtherFilter | *filter;
    if (fields.has(hw::ETQF::QUEUE_ENABLE)) queue = fields.get(hw::ETQF::QUEUE);
  }
  const bool in_front = registers_.traits().later_registers && !pools_.enabled() &&
                        registers_.get<hw::SRRCTL>(queue).has(hw::SRRCTL::TIMESTAMP);
  if (in_front && time_.selects(frame, headers)) {
    write_back.status |= intel::rx::kStampInFront;
  } else if (!in_front && time_.received(frame, headers)) {
    write_back.status |= intel::rx::kTimeStamped;
  }
  if (pools_.enabled()) {
    const Pools::Choice pools = pools_.choose(frame, headers, Pools::From::wire);
    return to_pools(frame, headers, write_back, choice, pools, Pools::From::wire);
  }
  if (headers.tagged && registers_.get<hw::CTRL>().has(hw::CTRL::VME)) {
    write_back.status |= intel::rx::kVlan;
    write_back.vlan = headers.vlan;
  }
  write_back.header_length = split_of(frame, headers, write_back, queue);
  store(frame, queue, write_back, passed == Passes::as_good);
}

bool Receive::frame_of_pool(std::span<const std::byte> frame, std::uint32_t pool) {
  if (frame.size() < kMacHeaderBytes || !registers_.get<hw::RCTL>().has(hw::RCTL::RXEN)) return false;
  const Headers headers = parsed(frame);
  const Pools::Choice pools = pools_.choose(frame, headers, Pools::From::pool, pool);
  const RssChoice rss = rss_choice(registers_, frame, headers);
  const intel::rx::WriteBack write_back = describe(frame, headers, rss, Filter::Match::exact);
  if (pools.pools != 0 || pools.too_long) to_pools(frame, headers, write_back, rss, pools, Pools::From::pool);
  return pools.only_inside;
}

// Each pool gets a copy. The counters of the MAC count frames of the wire, once; those of a pool count each copy.
void Receive::to_pools(std::span<const std::byte> frame, const Headers& headers, intel::rx::WriteBack write_back,
                       const RssChoice& rss, const Pools::Choice& choice, Pools::From from) {
  if (choice.too_long) {
    statistics_.count<hw::ROC>();
    statistics_.count<hw::RLEC>();
    return;
  }
  if (choice.pools == 0) return void(++losses_.not_for_us);
  const bool group = is_multicast(frame);
  bool counts = from == Pools::From::wire;
  for (std::uint32_t pool = 0; pool < hw::kPools; ++pool) {
    if ((choice.pools >> pool & 1) == 0) continue;
    intel::rx::WriteBack copy = write_back;
    const bool looped = from == Pools::From::pool && registers_.traits().later_registers;
    if (looped) copy.status |= intel::rx::kLoopback;
    if (headers.tagged && pools_.strips_tag(pool, group)) {
      copy.status |= intel::rx::kVlan;
      copy.vlan = headers.vlan;
      if (looped && registers_.traits().errata.swaps_looped_tags) {  // [E-LOOPTAG]
        copy.vlan = static_cast<std::uint16_t>(headers.vlan << 8 | headers.vlan >> 8);
      }
    }
    statistics_.received_by_pool(pool, frame, from == Pools::From::pool);
    const std::uint32_t queue = pools_.queue(pool, rss.queue);
    copy.header_length = split_of(frame, headers, copy, queue);
    store(frame, queue, copy, counts);
    counts = false;
  }
}

// [I-M-CORRUPT] If bad packets are stored, they are filtered like all others (82575 manual on RCTL.SBP).
void Receive::corrupt_frame(std::span<const std::byte> frame, bool link_up) {
  if (!link_up || !registers_.get<hw::RCTL>().has(hw::RCTL::RXEN)) {
    ++losses_.not_receiving;
    return;
  }
  statistics_.count<hw::CRCERRS>();
  statistics_.arrived(frame.size() + hw::kCrcBytes);
  if (!registers_.get<hw::RCTL>().has(hw::RCTL::SBP) || frame.size() < kMacHeaderBytes) return;
  if (filter_.address(frame) == Filter::Match::rejected) return void(++losses_.not_for_us);
  store(frame, 0, {.status = intel::rx::kDone | intel::rx::kEndOfPacket | intel::rx::kDataError});
}

/// [I-M-MISSED] Delivers the frame in its final form to the queue, or stores it in the packet buffer if packets wait
/// there or it cannot be delivered yet.
void Receive::store(std::span<const std::byte> frame, std::uint32_t queue, intel::rx::WriteBack write_back,
                    bool counts) {
  const std::size_t charge = frame.size() + hw::kCrcBytes;
  if (buffered_bytes_ + charge > capacity()) {
    statistics_.count<hw::MPC>();
    return interrupts_.raise(hw::ICR::RXO);
  }
  if (counts && (write_back.status & intel::rx::kDataError) == 0) statistics_.received(frame);
  const std::span<const std::byte> bytes = as_stored(frame, write_back.status, queue);
  bool counted = false;
  if (buffer_.empty() && try_deliver(bytes, queue, write_back, counted)) return;
  buffer_.push_back({{bytes.begin(), bytes.end()}, write_back, queue, charge, counted});
  set_level(buffered_bytes_ + charge);
}

/// The frame in its final form: the tag (the inner one of two) is stripped, the FCS appended and a stamp put in front,
/// if registers enable that.
std::span<const std::byte> Receive::as_stored(std::span<const std::byte> frame, std::uint64_t status,
                                              std::uint32_t queue) {
  const bool strip = (status & intel::rx::kVlan) != 0;
  const bool stamp = (status & intel::rx::kStampInFront) != 0;
  const bool append_crc = keeps_crc(queue);
  if (!strip && !append_crc && !stamp) return frame;
  scratch_.assign(frame.begin(), frame.end());
  const std::ptrdiff_t tag = has_outer_tags() ? 16 : 12;
  if (strip) scratch_.erase(scratch_.begin() + tag, scratch_.begin() + tag + 4);
  if (append_crc) {
    charge_crc(frame.size());
    const std::uint32_t crc = frame_check_sequence(frame);
    for (unsigned i = 0; i < hw::kCrcBytes; ++i) scratch_.push_back(static_cast<std::byte>(crc >> 8 * i & 0xFF));
  }
  if (stamp) {
    std::array<std::byte, 16> in_front{};
    const std::uint64_t now = time_.received_now();
    for (unsigned i = 0; i < 8; ++i) in_front[8 + i] = static_cast<std::byte>(now >> 8 * i & 0xFF);
    scratch_.insert(scratch_.begin(), in_front.begin(), in_front.end());
  }
  return scratch_;
}

// On an I350 and later DVMOLR has a bit of each queue besides (DPDK, igb_rxtx.c, eth_igb_rx_init, keeps them equal).
bool Receive::keeps_crc(std::uint32_t queue) const {
  if (registers_.get<hw::RCTL>().has(hw::RCTL::SECRC)) return false;
  return !registers_.traits().later_registers || !registers_.get<hw::DVMOLR>(queue).has(hw::DVMOLR::STRCRC);
}

// [I-M-BUFFER] [I-M-QOFF] A packet for a queue without descriptors is dropped if SRRCTL.DROP_EN or QDE is set.
// Otherwise it waits in the packet buffer and blocks all packets behind it (I210 datasheet, 7.1; 82598 datasheet on
// RNBC).
bool Receive::try_deliver(std::span<const std::byte> bytes, std::uint32_t number,
                          const intel::rx::WriteBack& write_back, bool& counted_no_buffer) {
  CardRxQueue& queue = queues_[number];
  if (!queue.enabled()) {
    ++losses_.queue_disabled;
    return true;
  }
  if (!queue.has_memory()) return false;
  switch (queue.deliver(bytes, write_back)) {
    case CardRxQueue::Outcome::stored: stored(number); return true;
    case CardRxQueue::Outcome::broken: ++losses_.queue_broken; return true;
    case CardRxQueue::Outcome::no_descriptors: break;
  }
  if (!counted_no_buffer) statistics_.count<hw::RNBC>();
  counted_no_buffer = true;
  const bool drop = registers_.get<hw::SRRCTL>(number).has(hw::SRRCTL::DROP_EN) ||
                    (registers_.get<hw::QDE>().raw() >> number & 1) != 0;
  if (drop) statistics_.count<hw::RQDPC>(number);
  return drop;
}

void Receive::stored(std::uint32_t number) {
  CardRxQueue& queue = queues_[number];
  if (queue.waiting_write_backs() == 0) {
    interrupts_.raise_receive(number);
  } else {
    const std::optional<Duration> interval = interrupts_.receive_interval(number);
    if (queue.waiting_write_backs() >= queue.threshold() || interval == Duration(0)) {
      flush_write_backs(number);
    } else if (interval && !timers_.running(write_back_timer_[number])) {
      timers_.start(write_back_timer_[number], *interval);
    }
  }
  // [I-M-RDMTS]
  constexpr std::uint32_t kRdmtsUnit = 16;
  const std::uint32_t threshold = registers_.get<hw::SRRCTL>(number).get(hw::SRRCTL::RDMTS) * kRdmtsUnit;
  if (queue.left() != threshold) return;
  statistics_.count<hw::RXDMTC>();
  if (!interrupts_.belongs_to_function(number)) interrupts_.raise(hw::ICR::RXDMT0);
}

void Receive::flush_write_backs(std::uint32_t number) {
  timers_.cancel(write_back_timer_[number]);
  if (queues_[number].flush_write_backs()) interrupts_.raise_receive(number);
}

void Receive::drain() {
  while (!buffer_.empty()) {
    Packet& packet = buffer_.front();
    if (!try_deliver(packet.bytes, packet.queue, packet.write_back, packet.counted_no_buffer)) return;
    const std::size_t left = buffered_bytes_ - packet.charge;
    buffer_.pop_front();
    set_level(left);  // the handler may deliver more frames
  }
}

}  // namespace pollux::models::igb
