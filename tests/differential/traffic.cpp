// SPDX-License-Identifier: BSD-3-Clause
#include "differential/traffic.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "hw/intel/descriptors.hpp"

namespace pollux::differential {
namespace {

using hw::intel::Descriptor;

constexpr unsigned kSender = 0;
constexpr unsigned kReceiver = 1;
constexpr std::uint32_t kRing = 64;
constexpr std::uint32_t kMaxFrames = 16;

// Offsets in the fixture's memory.
constexpr std::size_t kRxRings = 0;
constexpr std::size_t kTxRing = 0x8000;
constexpr std::size_t kTxBuffers = 0x100000;
constexpr std::size_t kTxBufferBytes = 0x4000;
constexpr std::size_t kRxBuffers = 0x400000;
constexpr std::size_t kRxBufferBytes = 0x1000;
constexpr std::uint8_t kUntouched = 0xA5;
constexpr std::uint32_t kLongestFrame = 1518;  // with CRC, if RCTL.LPE is not set
/// QEMU does not write a CRC that crosses a buffer's end or begins a new buffer, and reports length 0 for that buffer.
/// So no frame, with or without its tag, ends within this distance of a buffer's end.
constexpr std::size_t kNearEdge = 8;
/// MRQC bits of the packet types that both cards hash: IPv4, IPv6, TCP and UDP over IPv4, UDP over IPv6. For TCP over
/// IPv6 QEMU tests another bit (I-M-RSSEX).
constexpr std::uint32_t kHashedByBoth = 0x00D30000;

std::uint32_t bit_if(bool condition, std::uint32_t bits) { return condition ? bits : 0; }

/// The bit number in the multicast table: bits 47:36 of the address, since RCTL.MO is 0.
std::uint32_t hash_of(const Address& address) { return (address[4] >> 4 | address[5] << 4) & 0xFFF; }

std::size_t rx_slot(std::uint32_t queue, std::uint32_t slot) {
  return (queue * kRing + slot) * kRxBufferBytes + kRxBuffers;
}

Descriptor* ring_at(const Fixture& fixture, std::size_t at) {
  return reinterpret_cast<Descriptor*>(fixture.memory() + at);
}

std::size_t rx_ring(std::uint32_t queue) { return kRxRings + queue * kRing * sizeof(Descriptor); }

void write_filters(const Fixture& fixture, const ReceiverPlan& plan) {
  const reg::Registers regs = fixture.registers(kReceiver);
  for (std::uint32_t i = 0; i < plan.exact.size(); ++i) {
    const Address& address = kAddresses[i];
    std::uint32_t low = 0;
    std::memcpy(&low, address.data(), sizeof low);
    regs.write<reg::RAL>(i, reg::RAL::Value(low));
    regs.write<reg::RAH>(
        i, reg::RAH::Value(address[4] | std::uint32_t{address[5]} << 8 | bit_if(plan.exact[i], reg::RAH::AV.bits())));
    const std::uint32_t hash = hash_of(address);
    regs.write<reg::MTA>(hash >> 5, reg::MTA::Value(bit_if(plan.hashed[i], 1U << (hash & 31))));
  }
  for (std::uint32_t i = 0; i < plan.vlans.size(); ++i) {
    regs.write<reg::VFTA>(kVlans[i] >> 5, reg::VFTA::Value(bit_if(plan.vlans[i], 1U << (kVlans[i] & 31))));
  }
  for (std::uint32_t i = 0; i < plan.reta.size(); ++i) regs.write<reg::RETA>(i, reg::RETA::Value(plan.reta[i]));
  for (std::uint32_t i = 0; i < plan.rssrk.size(); ++i) regs.write<reg::RSSRK>(i, reg::RSSRK::Value(plan.rssrk[i]));
  regs.write<reg::MRQC>(reg::MRQC::Value(plan.mrqc));
  regs.write<reg::RXCSUM>(reg::RXCSUM::Value(plan.rxcsum));
  regs.write<reg::RLPML>(reg::RLPML::Value(plan.rlpml));
  regs.write<reg::CTRL>(reg::CTRL::Value(plan.ctrl));
}

void write_interrupts(const Fixture& fixture, const ReceiverPlan& plan) {
  const reg::Registers regs = fixture.registers(kReceiver);
  regs.write<reg::GPIE>(reg::GPIE::MSIX_MODE);
  regs.write<reg::EIMC>(reg::EIMC::Value(~0U));
  regs.write<reg::EICR>(reg::EICR::Value(~0U));
  for (std::uint32_t queue = 0; queue < ReceiverPlan::kQueues; ++queue) {
    regs.write<reg::IVAR>(queue, reg::IVAR::RX_LOW(plan.vector[queue]) | reg::IVAR::RX_LOW_VALID);
  }
  regs.write<reg::EIMS>(reg::EIMS::Value(0x3FF));
}

void arm_receiver(Fixture& fixture, const ReceiverPlan& plan) {
  const reg::Registers regs = fixture.registers(kReceiver);
  std::memset(fixture.memory() + kRxBuffers, kUntouched, Fixture::kMemory - kRxBuffers);
  for (std::uint32_t queue = 0; queue < ReceiverPlan::kQueues; ++queue) {
    for (std::uint32_t slot = 0; slot < kRing; ++slot) {
      ring_at(fixture, rx_ring(queue))[slot] = hw::intel::rx::armed(fixture.iova() + rx_slot(queue, slot));
    }
    const std::uint64_t at = fixture.iova() + rx_ring(queue);
    regs.write<reg::RDBAL>(queue, reg::RDBAL::Value(static_cast<std::uint32_t>(at)));
    regs.write<reg::RDBAH>(queue, reg::RDBAH::Value(static_cast<std::uint32_t>(at >> 32)));
    regs.write<reg::RDLEN>(queue, reg::RDLEN::Value(kRing * sizeof(Descriptor)));
    regs.write<reg::RDH>(queue, reg::RDH::Value(0));
    regs.write<reg::RDT>(queue, reg::RDT::Value(0));
    regs.write<reg::SRRCTL>(queue, reg::SRRCTL::Value(plan.srrctl[queue]));
    regs.write<reg::RXDCTL>(queue, reg::RXDCTL::ENABLE | reg::RXDCTL::WTHRESH(1));
  }
  regs.write<reg::RCTL>(reg::RCTL::Value(plan.rctl));
  fixture.settle();
  for (std::uint32_t queue = 0; queue < ReceiverPlan::kQueues; ++queue) {
    regs.write<reg::RDT>(queue, reg::RDT::Value(kRing - 1));
  }
  fixture.settle();
}

void disarm(Fixture& fixture) {
  const reg::Registers receiver = fixture.registers(kReceiver);
  receiver.write<reg::RCTL>({});
  for (std::uint32_t queue = 0; queue < reg::kRxQueues; ++queue) receiver.write<reg::RXDCTL>(queue, {});
  const reg::Registers sender = fixture.registers(kSender);
  sender.write<reg::TCTL>({});
  for (std::uint32_t queue = 0; queue < reg::kTxQueues; ++queue) sender.write<reg::TXDCTL>(queue, {});
  fixture.settle();
}

std::uint32_t write_frames(const Fixture& fixture, const std::vector<SendPlan>& frames) {
  namespace tx = hw::intel::tx;
  Descriptor* const ring = ring_at(fixture, kTxRing);
  std::uint32_t next = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const SendPlan& plan = frames[i];
    const auto total = static_cast<std::uint32_t>(plan.frame.size());
    const std::size_t at = kTxBuffers + i * kTxBufferBytes;
    std::memcpy(fixture.memory() + at, plan.frame.data(), total);
    std::uint32_t done = 0;
    for (std::uint32_t piece = 0; piece < plan.buffers; ++piece) {
      const bool last = piece + 1 == plan.buffers;
      const std::uint32_t bytes = last ? total - done : total / plan.buffers;
      const std::uint64_t flags = (last ? tx::kEndOfPacket : 0) | (last && plan.report ? tx::kReportStatus : 0);
      ring[next++] = tx::data(fixture.iova() + at + done, bytes, total, flags);
      done += bytes;
    }
  }
  return next;
}

std::uint32_t send(Fixture& fixture, const std::vector<SendPlan>& frames) {
  const reg::Registers regs = fixture.registers(kSender);
  const std::uint32_t used = write_frames(fixture, frames);
  const std::uint64_t at = fixture.iova() + kTxRing;
  regs.write<reg::TDBAL>(0, reg::TDBAL::Value(static_cast<std::uint32_t>(at)));
  regs.write<reg::TDBAH>(0, reg::TDBAH::Value(static_cast<std::uint32_t>(at >> 32)));
  regs.write<reg::TDLEN>(0, reg::TDLEN::Value(kRing * sizeof(Descriptor)));
  regs.write<reg::TDH>(0, {});
  regs.write<reg::TDT>(0, {});
  regs.write<reg::TXDCTL>(0, reg::TXDCTL::ENABLE);
  regs.write<reg::TCTL>(reg::TCTL::EN | reg::TCTL::PSP);
  fixture.settle();
  regs.write<reg::TDT>(0, reg::TDT::Value(used));
  fixture.settle();
  return used;
}

void observe_sender(const Fixture& fixture, std::uint32_t used, Observations& seen) {
  const reg::Registers regs = fixture.registers(kSender);
  seen.add("tx head", regs.read<reg::TDH>(0).raw());
  seen.add("tx tail", regs.read<reg::TDT>(0).raw());
  for (std::uint32_t slot = 0; slot < used; ++slot) {
    seen.add("tx descriptor done", hw::intel::tx::done(ring_at(fixture, kTxRing)[slot].hi) ? 1 : 0);
  }
}

/// The frame's FCS (CRC-32 of IEEE 802.3).
std::uint32_t crc_of(const Bytes& frame) {
  std::uint32_t crc = ~0U;
  for (const std::uint8_t byte : frame) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320 : 0);
  }
  return ~crc;
}

/// Classifies a stored CRC: 0 if there is none, 1 if it belongs to a frame that was sent, otherwise 2.
std::uint32_t classify_crc(std::uint32_t crc, const Round& round) {
  if (crc == 0) return 0;
  return std::any_of(round.frames.begin(), round.frames.end(),
                     [&](const SendPlan& plan) { return crc_of(plan.frame) == crc; })
             ? 1
             : 2;
}

/// Returns the stored CRC, which is the last four bytes of the packet that ends in `slot`, and overwrites it with
/// zeros, so that the bytes compare equal. The CRC may begin in the buffer of the slot before.
std::uint32_t take_crc(const Fixture& fixture, std::uint32_t queue, std::uint32_t slot) {
  std::uint32_t crc = 0;
  std::uint32_t left = reg::kCrcBytes;
  for (std::uint32_t at = slot; left != 0 && at <= slot; --at) {
    std::byte* const buffer = fixture.memory() + rx_slot(queue, at);
    const std::uint32_t length = hw::intel::rx::length(ring_at(fixture, rx_ring(queue))[at].hi);
    for (std::uint32_t i = std::min(length, std::uint32_t{kRxBufferBytes}); i != 0 && left != 0; --left) {
      crc = crc << 8 | std::to_integer<std::uint32_t>(buffer[--i]);
      buffer[i] = std::byte{0};
    }
  }
  return crc;
}

void observe_descriptor(const Fixture& fixture, std::uint32_t queue, std::uint32_t slot, const Round& round,
                        Observations& seen) {
  const Descriptor descriptor = ring_at(fixture, rx_ring(queue))[slot];
  const std::string where = fmt::format("of queue {} slot {}", queue, slot);
  const bool last = (descriptor.hi & hw::intel::rx::kEndOfPacket) != 0;
  const std::string rx = last ? "rx " : "rx middle ";
  seen.add("rx length " + where, hw::intel::rx::length(descriptor.hi));
  seen.add(rx + "status " + where, descriptor.hi & 0xFFFFFFFF);
  seen.add(rx + "tag " + where, hw::intel::rx::vlan(descriptor.hi));
  seen.add(rx + "type " + where, descriptor.lo & 0xFFFFFFFF);
  seen.add(rx + "hash " + where, hw::intel::rx::hash(descriptor.lo));
  const bool stripped = (round.receiver.rctl & reg::RCTL::SECRC.bits()) != 0;
  if (last && !stripped) seen.add("rx crc " + where, classify_crc(take_crc(fixture, queue, slot), round));
}

void observe_queue(const Fixture& fixture, std::uint32_t queue, const Round& round, Observations& seen) {
  const std::uint32_t head = fixture.registers(kReceiver).read<reg::RDH>(queue).raw();
  seen.add(fmt::format("rx head of queue {}", queue), head);
  for (std::uint32_t slot = 0; slot < kRing; ++slot) {
    const Descriptor descriptor = ring_at(fixture, rx_ring(queue))[slot];
    if (slot < std::min(head, kRing)) {
      observe_descriptor(fixture, queue, slot, round, seen);
    } else {
      seen.add("rx descriptor untouched", descriptor.lo - fixture.iova() - rx_slot(queue, slot) + descriptor.hi);
    }
  }
  for (std::uint32_t slot = 0; slot < std::min(head, kRing); ++slot) {
    const std::byte* const buffer = fixture.memory() + rx_slot(queue, slot);
    const std::size_t length =
        std::min(std::size_t{hw::intel::rx::length(ring_at(fixture, rx_ring(queue))[slot].hi)}, kRxBufferBytes);
    const std::string where = fmt::format("of queue {} slot {}", queue, slot);
    seen.add_bytes("rx bytes " + where, buffer, length);
    seen.add_bytes("rx bytes after the frame " + where, buffer + length, kRxBufferBytes - length);
  }
}

void observe_events(const Fixture& fixture, Observations& seen) {
  for (std::size_t vector = 0; vector < fixture.events(kReceiver).size(); ++vector) {
    std::uint64_t signals = 0;
    const bool signalled =
        ::read(fixture.events(kReceiver)[vector], &signals, sizeof signals) == ssize_t{sizeof signals};
    seen.add(fmt::format("event of vector {}", vector), signalled ? 1 : 0);
  }
  seen.add("EICR", fixture.read(kReceiver, reg::EICR::offset()));
}

/// Whether the card strips the CRC or the VLAN tag. This changes the size that QEMU's card counts.
bool strips(const ReceiverPlan& plan) {
  return (plan.rctl & reg::RCTL::SECRC.bits()) != 0 || (plan.ctrl & reg::CTRL::VME.bits()) != 0;
}

/// Whether a frame is longer than the receiver accepts. This changes what QEMU's card counts.
bool oversize(const Round& round) {
  const std::uint32_t limit = (round.receiver.rctl & reg::RCTL::LPE.bits()) != 0 ? round.receiver.rlpml : kLongestFrame;
  return std::any_of(round.frames.begin(), round.frames.end(),
                     [&](const SendPlan& plan) { return plan.frame.size() + reg::kCrcBytes > limit; });
}

/// The name of a counter's observation. A prefix tells whether packets were stripped or oversized in this round, if
/// known differences of this counter depend on it.
std::string counter_name(std::string_view name, unsigned which, const Round& round) {
  const std::string text = fmt::format("{} of {}", name, which == kSender ? "sender" : "receiver");
  if (which == kSender) return text;
  const bool size = name.starts_with("PRC") || name.starts_with("GORC") || name == "TORL";
  if (size && strips(round.receiver)) return "stripped: " + text;
  const bool length = name == "ROC" || name == "RLEC" || name == "TPR" || name == "TORL";
  return length && oversize(round) ? "oversize: " + text : text;
}

void observe_counters(const Fixture& fixture, const Round& round, Observations& seen) {
  for (unsigned which = 0; which < Fixture::kCards; ++which) {
    for (const RegisterInfo& counter : reg::kStatisticsRegisters) {
      seen.add(counter_name(counter.name, which, round), fixture.read(which, counter.offset));
    }
  }
}

ReceiverPlan random_receiver(Random& random) {
  ReceiverPlan plan;
  plan.rctl = reg::RCTL::RXEN.bits() | bit_if(random.once(3), reg::RCTL::UPE.bits()) |
              bit_if(random.once(3), reg::RCTL::MPE.bits()) | bit_if(!random.once(3), reg::RCTL::BAM.bits()) |
              bit_if(random.once(2), reg::RCTL::LPE.bits()) | bit_if(random.once(2), reg::RCTL::SECRC.bits()) |
              bit_if(random.once(2), reg::RCTL::VFE.bits());
  plan.ctrl = (reg::CTRL::SLU | reg::CTRL::FD).bits() | bit_if(random.once(2), reg::CTRL::VME.bits());
  plan.rxcsum = bit_if(random.once(2), reg::RXCSUM::PCSD.bits()) | bit_if(random.once(2), reg::RXCSUM::IPOFL.bits()) |
                bit_if(random.once(2), reg::RXCSUM::TUOFL.bits());
  plan.rlpml = random.once(2) ? 9728 : random.between(64, 1600);
  if (random.once(2)) plan.mrqc = reg::MRQC::RSS.bits() | (random.word() & kHashedByBoth);
  for (std::uint32_t& word : plan.reta) word = random.word() & 0x03030303;
  for (std::uint32_t& word : plan.rssrk) word = random.word();
  for (std::uint32_t& word : plan.srrctl) {
    word = (reg::SRRCTL::ONE_BUFFER | reg::SRRCTL::BSIZEPACKET(1U << random.below(3))).bits();
  }
  for (bool& exact : plan.exact) exact = random.once(2);
  // QEMU also passes unicast frames through the multicast table, so no unicast address is hashed.
  for (std::size_t i = 2; i < plan.hashed.size(); ++i) plan.hashed[i] = random.once(2);
  for (bool& vlan : plan.vlans) vlan = random.once(2);
  for (std::uint32_t& vector : plan.vector) vector = random.below(10);
  return plan;
}

}  // namespace

Round random_round(Random& random) {
  Round round{.receiver = random_receiver(random), .frames = {}};
  const std::uint32_t count = random.between(1, kMaxFrames);
  for (std::uint32_t i = 0; i < count; ++i) {
    Bytes frame = random_frame(random);
    while ((frame.size() + kNearEdge) % 1024 < 2 * kNearEdge) frame.push_back(0);
    round.frames.push_back({.frame = std::move(frame), .buffers = random.between(1, 3), .report = !random.once(3)});
  }
  return round;
}

Observations run_round(Fixture& fixture, const Round& round) {
  Observations seen;
  disarm(fixture);
  write_filters(fixture, round.receiver);
  write_interrupts(fixture, round.receiver);
  arm_receiver(fixture, round.receiver);
  Observations before;
  observe_events(fixture, before);
  observe_counters(fixture, round, before);
  const std::uint32_t used = send(fixture, round.frames);
  observe_sender(fixture, used, seen);
  for (std::uint32_t queue = 0; queue < ReceiverPlan::kQueues; ++queue) observe_queue(fixture, queue, round, seen);
  observe_events(fixture, seen);
  observe_counters(fixture, round, seen);
  return seen;
}

}  // namespace pollux::differential
