// SPDX-License-Identifier: BSD-3-Clause
// The faked card's work on the rings.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "faked_card.hpp"
#include "hw/intel/descriptors.hpp"
#include "hw/intel/igb/limits.hpp"
#include "hw/intel/igb/registers.hpp"

namespace pollux::bench {

namespace reg = hw::igb;
using hw::intel::Descriptor;

namespace {

constexpr std::uint32_t kLine = 64;
constexpr std::uint32_t kHeaderBytes = 54;  // Ethernet, IPv4 and TCP

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

void FakedCard::restart() {
  rx_heads_.fill(0);
  tx_heads_.fill(0);
}

void FakedCard::receive(std::uint32_t queue, std::uint32_t count, std::uint32_t length) {
  const std::uint64_t base = get(reg::RDBAL::offset(queue)) | std::uint64_t{get(reg::RDBAH::offset(queue))} << 32;
  auto* const ring = reinterpret_cast<volatile Descriptor*>(at(base));
  const std::uint32_t mask = get(reg::RDLEN::offset(queue)) / std::uint32_t{sizeof(Descriptor)} - 1;
  const reg::SRRCTL::Value format(get(reg::SRRCTL::offset(queue)));
  const std::uint32_t room = format.get(reg::SRRCTL::BSIZEPACKET) * reg::kRxBufferUnit;
  const bool splits = format.has(reg::SRRCTL::SPLIT);
  std::uint32_t head = rx_heads_[queue];
  for (std::uint32_t i = 0; i < count; ++i) {
    hw::intel::rx::WriteBack what = marking_ ? kMarked : kUnmarked;
    std::uint32_t done = 0;
    if (splits) {
      std::byte* const header = at(ring[head].hi);
      std::memcpy(header, kFrame.data(), kHeaderBytes);
      if (cold_) flush(header, kHeaderBytes);
      done = kHeaderBytes;
      what.header_length = kHeaderBytes;
      what.split_header = true;
    }
    while (done < length) {
      volatile Descriptor& slot = ring[head];
      const std::uint32_t bytes = std::min(room, length - done);
      std::byte* const buffer = at(slot.lo);
      std::memcpy(buffer, kFrame.data() + done, bytes);
      if (cold_) flush(buffer, bytes);
      done += bytes;
      const Descriptor written = write_back(what, bytes, done == length);
      slot.lo = written.lo;
      slot.hi = written.hi;
      head = (head + 1) & mask;
      // Four descriptors share a cache line, which is flushed once the card has finished with it.
      if (cold_ && (head % 4 == 0 || i + 1 == count)) flush(const_cast<Descriptor*>(&slot), 1);
    }
  }
  rx_heads_[queue] = head;
  if (cold_) _mm_mfence();
}

std::uint32_t FakedCard::finish_transmits(std::uint32_t queue) {
  const std::uint64_t base = get(reg::TDBAL::offset(queue)) | std::uint64_t{get(reg::TDBAH::offset(queue))} << 32;
  auto* const ring = reinterpret_cast<volatile Descriptor*>(at(base));
  const std::uint32_t mask = get(reg::TDLEN::offset(queue)) / std::uint32_t{sizeof(Descriptor)} - 1;
  const std::uint32_t tail = get(reg::TDT::offset(queue));
  std::uint32_t head = tx_heads_[queue];
  std::uint32_t frames = 0;
  while (head != tail) {
    volatile Descriptor& slot = ring[head];
    const std::uint64_t command = slot.hi;
    if (hw::intel::tx::type(command) == hw::intel::tx::kTypeData) {
      const std::byte* const buffer = at(slot.lo);
      std::uint64_t word = 0;
      std::memcpy(&word, buffer, sizeof word);
      sink_ = sink_ + word;
      if (cold_) flush(buffer, hw::intel::tx::data_length(command));
    }
    if ((command & hw::intel::tx::kReportStatus) != 0) {
      slot.lo = 0;
      slot.hi = hw::intel::tx::kDone;
      ++sent_.write_backs;
    }
    ++sent_.descriptors;
    frames += (command & hw::intel::tx::kEndOfPacket) != 0 ? 1 : 0;
    head = (head + 1) & mask;
    if (cold_ && (head % 4 == 0 || head == tail)) flush(const_cast<Descriptor*>(&slot), 1);
  }
  tx_heads_[queue] = head;
  if (cold_) _mm_mfence();
  return frames;
}

}  // namespace pollux::bench
