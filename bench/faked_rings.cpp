// SPDX-License-Identifier: BSD-3-Clause
// The faked card's work on the rings.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "faked_card.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/intel/extended_descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::bench {

namespace reg = hw::igb;
using hw::intel::Descriptor;

namespace {

constexpr std::uint32_t kLine = 64;
constexpr std::uint32_t kHeaderBytes = 54;     // Ethernet, IPv4 and TCP
constexpr std::uint64_t kLegacyStatus = 0xFF;  // of a write-back: in the oldest format these bits are the same

// An Ethernet header and an IPv4 header of a TCP packet of 50 bytes, followed by zeros.
constexpr std::array<std::byte, 10240> kFrame = [] {
  constexpr std::array<std::uint8_t, 24> kStart = {2, 0, 0,    0, 0, 1,  2, 0, 0, 0, 0,  2,
                                                   8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 6};
  std::array<std::byte, 10240> frame{};
  std::transform(kStart.begin(), kStart.end(), frame.begin(), [](std::uint8_t byte) { return std::byte{byte}; });
  return frame;
}();

constexpr hw::intel::rx::WriteBack kUnmarked;
// The write-back of a UDP packet with a hash and two good checksums.
constexpr hw::intel::rx::WriteBack kMarked{
    .rss = hw::intel::rx::RssType::ipv4,
    .packet_type = hw::intel::rx::kTypeIpv4 | hw::intel::rx::kTypeUdp,
    .hash = 0x12345678,
    .status = kUnmarked.status | hw::intel::rx::kIpChecked | hw::intel::rx::kL4Checked};

Descriptor write_back(hw::intel::rx::WriteBack what, std::uint32_t bytes, bool last) {
  what.length = static_cast<std::uint16_t>(bytes);
  if (!last) what.status &= ~hw::intel::rx::kEndOfPacket;
  return hw::intel::rx::written_back(what);
}

void flush(const void* address, std::uint32_t bytes) {
  const auto* const first = static_cast<const std::byte*>(address);
  for (std::uint32_t i = 0; i < bytes; i += kLine) _mm_clflushopt(const_cast<std::byte*>(first + i));
}

}  // namespace

template <class Register>
const std::byte* FakedCard::ring_register(std::uint32_t queue) const {
  constexpr std::uint32_t kOlderQueues = 4;
  constexpr std::uint32_t kReceive = 0xC000;  // and 0x2800 for the older ones
  constexpr std::uint32_t kOlderReceive = 0x2800;
  constexpr std::uint32_t kTransmit = 0xE000;
  constexpr std::uint32_t kOlderTransmit = 0x3800;
  constexpr std::uint32_t kOlderStride = 0x100;
  std::uint32_t offset = Register::offset(queue);
  if (older_addresses_ && queue < kOlderQueues) {
    const bool sends = Register::offset(0) >= kTransmit;
    offset = Register::offset(0) - (sends ? kTransmit : kReceive) + (sends ? kOlderTransmit : kOlderReceive) +
             queue * kOlderStride;
  }
  return registers_.get() + offset;
}

template <class Register>
std::uint32_t FakedCard::ring(std::uint32_t queue) const {
  return io::read<std::uint32_t>(ring_register<Register>(queue));
}

const volatile std::uint32_t* FakedCard::rx_tail(std::uint32_t queue) const {
  return reinterpret_cast<const volatile std::uint32_t*>(ring_register<reg::RDT>(queue));
}

const volatile std::uint32_t* FakedCard::tx_tail(std::uint32_t queue) const {
  return reinterpret_cast<const volatile std::uint32_t*>(ring_register<reg::TDT>(queue));
}

void FakedCard::restart() {
  for (Queue& queue : queues_) queue.rx_head = queue.tx_head = 0;
}

std::uint32_t FakedCard::buffer_bytes(std::uint32_t queue) const {
  if (kind_ == Kind::card_82574) return 2048;
  return reg::SRRCTL::Value(ring<reg::SRRCTL>(queue)).get(reg::SRRCTL::BSIZEPACKET) * reg::kRxBufferUnit;
}

void FakedCard::receive(std::uint32_t queue, std::uint32_t count, std::uint32_t length) {
  const std::uint64_t base = ring<reg::RDBAL>(queue) | std::uint64_t{ring<reg::RDBAH>(queue)} << 32;
  auto* const slots = reinterpret_cast<volatile Descriptor*>(at(base));
  const std::uint32_t mask = ring<reg::RDLEN>(queue) / std::uint32_t{sizeof(Descriptor)} - 1;
  const std::uint32_t room = buffer_bytes(queue);
  const bool splits = kind_ == Kind::card_82576 && reg::SRRCTL::Value(ring<reg::SRRCTL>(queue)).has(reg::SRRCTL::SPLIT);
  std::uint32_t head = queues_[queue].rx_head;
  for (std::uint32_t i = 0; i < count; ++i) {
    hw::intel::rx::WriteBack what = marking_ ? kMarked : kUnmarked;
    std::uint32_t done = 0;
    if (splits) {
      std::byte* const header = at(slots[head].hi);
      std::memcpy(header, kFrame.data(), kHeaderBytes);
      if (cold_) flush(header, kHeaderBytes);
      done = kHeaderBytes;
      what.header_length = kHeaderBytes;
      what.split_header = true;
    }
    while (done < length) {
      volatile Descriptor& slot = slots[head];
      const std::uint32_t bytes = std::min(room, length - done);
      std::byte* const buffer = at(slot.lo);
      std::memcpy(buffer, kFrame.data() + done, bytes);
      if (cold_) flush(buffer, bytes);
      done += bytes;
      const Descriptor written = write_back(what, bytes, done == length);
      // Length, checksum, status, errors and tag, behind an address that stays.
      if (!legacy_receive_) slot.lo = written.lo;
      slot.hi = legacy_receive_ ? written.hi >> 32 | (written.hi & kLegacyStatus) << 32 : written.hi;
      head = (head + 1) & mask;
      // Four descriptors share a cache line, which is flushed once the card has finished with it.
      if (cold_ && (head % 4 == 0 || i + 1 == count)) flush(const_cast<Descriptor*>(&slot), 1);
    }
  }
  queues_[queue].rx_head = head;
  if (cold_) _mm_mfence();
}

void FakedCard::deliver(std::uint32_t queue, std::uint32_t length) {
  const std::uint32_t mask = ring<reg::RDLEN>(queue) / std::uint32_t{sizeof(Descriptor)} - 1;
  const std::uint32_t armed = (ring<reg::RDT>(queue) - queues_[queue].rx_head) & mask;
  const std::uint32_t count = std::min(backlog_.waiting(queue), armed);
  receive(queue, count, length);
  backlog_.take(queue, count);
}

std::uint32_t FakedCard::finish_transmits(std::uint32_t queue) {
  const std::uint64_t base = ring<reg::TDBAL>(queue) | std::uint64_t{ring<reg::TDBAH>(queue)} << 32;
  auto* const slots = reinterpret_cast<volatile Descriptor*>(at(base));
  const std::uint32_t mask = ring<reg::TDLEN>(queue) / std::uint32_t{sizeof(Descriptor)} - 1;
  const std::uint32_t tail = ring<reg::TDT>(queue);
  std::uint32_t head = queues_[queue].tx_head;
  std::uint32_t frames = 0;
  while (head != tail) {
    volatile Descriptor& slot = slots[head];
    const std::uint64_t command = slot.hi;
    const std::uint64_t type = hw::intel::tx::type(command);
    const bool has_data = type == hw::intel::tx::kTypeData || type == hw::intel::tx::extended::kTypeData;
    if (has_data) {
      const std::byte* const buffer = at(slot.lo);
      std::uint64_t word = 0;
      std::memcpy(&word, buffer, sizeof word);
      queues_[queue].sink = queues_[queue].sink + word;
      if (cold_) flush(buffer, hw::intel::tx::data_length(command));
    }
    if ((command & hw::intel::tx::kReportStatus) != 0) {
      slot.lo = 0;
      slot.hi = hw::intel::tx::kDone;
      ++queues_[queue].sent.write_backs;
    }
    ++queues_[queue].sent.descriptors;
    frames += has_data && (command & hw::intel::tx::kEndOfPacket) != 0 ? 1 : 0;
    head = (head + 1) & mask;
    if (cold_ && (head % 4 == 0 || head == tail)) flush(const_cast<Descriptor*>(&slot), 1);
  }
  queues_[queue].tx_head = head;
  if (cold_) _mm_mfence();
  return frames;
}

}  // namespace pollux::bench
