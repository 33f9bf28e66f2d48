// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/receive.hpp"

#include <algorithm>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {
namespace {

/// The queue's descriptors have a second buffer, for headers.
bool has_header_buffers(hw::SRRCTL::Value format) noexcept {
  return format.has(hw::SRRCTL::SPLIT) || format.has(hw::SRRCTL::SPLIT_ALWAYS) || format.has(hw::SRRCTL::REPLICATE) ||
         format.has(hw::SRRCTL::REPLICATE_LARGE);
}

/// What becomes of a frame in such a queue. `header`: from `split_point`.
SplitFrame divide(std::size_t frame_bytes, std::uint16_t header, hw::SRRCTL::Value format) noexcept {
  const std::size_t room = format.get(hw::SRRCTL::BSIZEHEADER) * std::size_t{hw::kRxHeaderUnit};
  const bool large_only = format.has(hw::SRRCTL::REPLICATE_LARGE);
  if (large_only || format.has(hw::SRRCTL::REPLICATE)) return copy_headers(frame_bytes, header, room, large_only);
  return split_frame(frame_bytes, header, room, format.has(hw::SRRCTL::SPLIT_ALWAYS));
}

/// In a write-back without "end of packet" only the length is valid (82575 manual, 5.3.4.8).
intel::Descriptor middle(std::size_t length) noexcept {
  return intel::rx::written_back({.status = intel::rx::kDone, .length = static_cast<std::uint16_t>(length)});
}

/// Length, checksum, status, errors and tag of the legacy format (82575 manual, table 27). The packet checksum is zero.
intel::Descriptor legacy(std::uint64_t address, const intel::rx::WriteBack& what) noexcept {
  const std::uint64_t status = what.status & 0xFF;
  const std::uint64_t errors = what.status >> 24 & 0xFF;
  return {address, what.length | status << 32 | errors << 40 | std::uint64_t{what.vlan} << 48};
}

}  // namespace

void CardRxQueue::reset() {
  broken_ = false;
  hangs_ = false;
  waiting_.discard();
  // After a reset queue 0 is enabled and writes back each descriptor (QEMU, igb_core.c, igb_mac_reg_init).
  enabled_ = number_ == 0;
  registers_.set<hw::RXDCTL>(number_, hw::RXDCTL::WTHRESH(1));
  set_enabled(enabled_);
}

void CardRxQueue::set_enabled(bool enabled) {
  if (enabled && !enabled_) broken_ = hangs_ = false;
  if (!enabled) flush_write_backs();
  enabled_ = enabled;
  const hw::RXDCTL::Value control = registers_.get<hw::RXDCTL>(number_);
  registers_.set<hw::RXDCTL>(number_, enabled ? control.with(hw::RXDCTL::ENABLE) : control.without(hw::RXDCTL::ENABLE));
}

void CardRxQueue::write_head(std::uint32_t value) {
  if (!enabled_ || ring_size() == 0) registers_.set<hw::RDH>(number_, hw::RDH::HEAD(value));
}

// [I-M-EARLYTAIL] A tail that is written before the queue is enabled is kept.
void CardRxQueue::write_tail(std::uint32_t value) {
  if (!enabled_ && value != 0) ++early_tails_;
  registers_.set<hw::RDT>(number_, hw::RDT::TAIL(value));
}

std::size_t CardRxQueue::buffer_bytes() const {
  const std::size_t own = registers_.get<hw::SRRCTL>(number_).get(hw::SRRCTL::BSIZEPACKET);
  return own != 0 ? own * hw::kRxBufferUnit : std::size_t{2048} >> registers_.get<hw::RCTL>().get(hw::RCTL::BSIZE);
}

std::uint32_t CardRxQueue::ring_size() const { return registers_.get<hw::RDLEN>(number_).raw() / hw::kDescriptorBytes; }

std::uint32_t CardRxQueue::armed() const {
  const std::uint32_t size = ring_size();
  if (!enabled_ || broken_ || hangs_ || head() >= size || tail() >= size) return 0;
  return tail() >= head() ? tail() - head() : size - head() + tail();
}

std::uint64_t CardRxQueue::slot() const {
  const std::uint64_t base =
      std::uint64_t{registers_.get<hw::RDBAH>(number_).raw()} << 32 | registers_.get<hw::RDBAL>(number_).raw();
  return base + std::uint64_t{head()} * hw::kDescriptorBytes;
}

void CardRxQueue::complete(std::uint64_t slot, const intel::Descriptor& descriptor) {
  if (threshold() <= 1) return void(dma_->write_back(number_, slot, descriptor));
  waiting_.add(ModelAccess::receive_write_back, slot, std::as_bytes(std::span(&descriptor, 1)));
}

void CardRxQueue::advance_head() {
  const std::uint32_t next = head() + 1;
  registers_.set<hw::RDH>(number_, hw::RDH::HEAD(next >= ring_size() ? 0 : next));
}

// [I-M-RXWHOLE] A frame is written only if the ring has descriptors for all of it. Hardware may start earlier.
// [I-M-REFUSED] Refused data writes are lost, but the write-back still happens, because a write on PCI Express has no
// reply. A descriptor that cannot be read stops the queue until it is enabled again.
CardRxQueue::Outcome CardRxQueue::deliver(std::span<const std::byte> bytes, intel::rx::WriteBack last) {
  const hw::SRRCTL::Value format = registers_.get<hw::SRRCTL>(number_);
  const bool is_legacy = format.has(hw::SRRCTL::LEGACY);
  if (!broken_ && has_header_buffers(format)) return deliver_split(bytes, last);
  last.header_length = 0;
  if (broken_ || (!is_legacy && !format.has(hw::SRRCTL::ONE_BUFFER))) return Outcome::broken;
  const std::size_t size = buffer_bytes();
  const auto needed = static_cast<std::uint32_t>((bytes.size() + size - 1) / size);
  const std::uint32_t available = armed();
  if (needed > available) return Outcome::no_descriptors;
  left_ = available - needed;
  while (!bytes.empty()) {
    const std::uint64_t at = slot();
    const std::byte* const descriptor = read_descriptor(at);
    if (descriptor == nullptr) return Outcome::broken;
    const std::uint64_t address = Dma::load(descriptor).lo;
    const std::size_t count = std::min(bytes.size(), size);
    // Bit 0 can mean "no snoop" (82575 manual, 5.3.4.1).
    dma_->write(ModelAccess::payload_write, number_, address & ~std::uint64_t{1}, bytes.first(count));
    bytes = bytes.subspan(count);
    last.length = static_cast<std::uint16_t>(count);
    const bool end = bytes.empty();
    if (is_legacy) {
      const intel::rx::WriteBack part{
          .status = end ? last.status : intel::rx::kDone, .length = last.length, .vlan = last.vlan};
      complete(at, legacy(address, part));
    } else {
      complete(at, end ? intel::rx::written_back(last) : middle(count));
    }
    advance_head();
  }
  return Outcome::stored;
}

// nullptr: the queue is broken from now on, unless the card may not access memory.
const std::byte* CardRxQueue::read_descriptor(std::uint64_t at) {
  const std::byte* const descriptor = dma_->read(ModelAccess::descriptor_read, number_, at, hw::kDescriptorBytes);
  if (descriptor == nullptr) broken_ = dma_->active();
  return descriptor;
}

// [I-M-HDRSPLIT] [I-M-HDRCOPY] Each descriptor has two buffers; that for headers is used in the first descriptor of a
// frame alone, which reports them. A frame that lies in the header buffer alone has the length of the whole frame if
// frames are copied (82575 manual, 5.3.4.10).
CardRxQueue::Outcome CardRxQueue::deliver_split(std::span<const std::byte> bytes, intel::rx::WriteBack last) {
  const hw::SRRCTL::Value format = registers_.get<hw::SRRCTL>(number_);
  const SplitFrame split = divide(bytes.size(), last.header_length, format);
  const std::size_t size = buffer_bytes();
  const std::size_t frame_bytes = bytes.size();
  const std::span<const std::byte> header = bytes.first(split.header_bytes);
  bytes = bytes.subspan(split.payload_start);
  const auto needed = static_cast<std::uint32_t>(std::max<std::size_t>((bytes.size() + size - 1) / size, 1));
  const std::uint32_t available = armed();
  if (needed > available) return Outcome::no_descriptors;
  left_ = available - needed;
  const bool is_copy = format.has(hw::SRRCTL::REPLICATE_LARGE) && bytes.empty();
  for (std::uint32_t i = 0; i < needed; ++i) {
    const std::uint64_t at = slot();
    const std::byte* const descriptor = read_descriptor(at);
    if (descriptor == nullptr) return Outcome::broken;
    const auto [packet, header_address] = Dma::load(descriptor);
    if (i == 0 && !header.empty()) dma_->write(ModelAccess::payload_write, number_, header_address, header);
    const std::size_t count = std::min(bytes.size(), size);
    if (count != 0) {
      dma_->write(ModelAccess::payload_write, number_, packet & ~std::uint64_t{1}, bytes.first(count));
      bytes = bytes.subspan(count);
    }
    intel::rx::WriteBack part = last;
    if (i + 1 != needed) part = {.status = intel::rx::kDone};
    if (i + 1 == needed && split.overflows) part.status |= intel::rx::kHeaderOverflow;
    part.length = static_cast<std::uint16_t>(is_copy ? frame_bytes : count);
    part.header_length = i == 0 ? split.reported : std::uint16_t{0};
    part.split_header = i == 0 && split.found;
    complete(at, intel::rx::written_back(part));
    advance_head();
  }
  return Outcome::stored;
}

bool CardRxQueue::write_back(const intel::Descriptor& descriptor) {
  if (armed() == 0 || !dma_->write_back(number_, slot(), descriptor)) return false;
  advance_head();
  return true;
}

}  // namespace pollux::models::igb
