// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/transmit.hpp"

#include <algorithm>
#include <utility>

#include "models/intel/igb/frame.hpp"

namespace pollux::models::igb {

void CardTxQueue::reset() {
  broken_ = false;
  in_frame_ = false;
  frame_ = {};
  contexts_ = {};
  waiting_.discard();
  set_enabled(number_ == 0);  // QEMU, igb_core.c, igb_mac_reg_init
}

void CardTxQueue::set_enabled(bool enabled) {
  if (enabled && !enabled_) {
    broken_ = false;
    in_frame_ = false;
  }
  if (!enabled) flush_write_backs();
  enabled_ = enabled;
  const hw::TXDCTL::Value control = registers_.get<hw::TXDCTL>(number_);
  registers_.set<hw::TXDCTL>(number_, enabled ? control.with(hw::TXDCTL::ENABLE) : control.without(hw::TXDCTL::ENABLE));
}

void CardTxQueue::write_head(std::uint32_t value) {
  if (!enabled_ || ring_size() == 0) registers_.set<hw::TDH>(number_, hw::TDH::HEAD(value));
}

std::uint32_t CardTxQueue::ring_size() const { return registers_.get<hw::TDLEN>(number_).raw() / hw::kDescriptorBytes; }

bool CardTxQueue::has_work() const {
  return enabled_ && !broken_ && dma_->active() && head() < ring_size() && tail() < ring_size() && head() != tail();
}

std::uint32_t CardTxQueue::threshold() const { return registers_.get<hw::TXDCTL>(number_).get(hw::TXDCTL::WTHRESH); }

bool CardTxQueue::process(TxSink& sink) {
  bool wrote_back = false;
  while (has_work() && sink.may_work() && (in_frame_ || sink.ready())) {
    const std::uint64_t base =
        std::uint64_t{registers_.get<hw::TDBAH>(number_).raw()} << 32 | registers_.get<hw::TDBAL>(number_).raw();
    const std::uint64_t slot = base + std::uint64_t{head()} * hw::kDescriptorBytes;
    const std::byte* const memory = dma_->read(ModelAccess::descriptor_read, number_, slot, hw::kDescriptorBytes);
    if (memory == nullptr) {  // [I-M-REFUSED]
      broken_ = true;
      break;
    }
    const intel::Descriptor descriptor = Dma::load(memory);
    process_descriptor(descriptor, sink);
    const std::uint32_t next = head() + 1;
    registers_.set<hw::TDH>(number_, hw::TDH::HEAD(next == ring_size() ? 0 : next));
    if ((descriptor.hi & intel::tx::kReportStatus) != 0 || reports_unasked()) {
      write_back(slot, descriptor);
      wrote_back = true;
    }
  }
  return wrote_back;
}

void CardTxQueue::process_descriptor(const intel::Descriptor& descriptor, TxSink& sink) {
  const bool advanced = (descriptor.hi & intel::tx::kAdvanced) != 0;
  if (advanced && intel::tx::type(descriptor.hi) == intel::tx::kTypeContext) {
    contexts_[descriptor.hi >> intel::tx::kContextShift & 1] = descriptor;
    return;
  }
  if (!in_frame_) {
    frame_.bytes.clear();
    frame_ = {.bytes = std::move(frame_.bytes),
              .flags = descriptor.hi,
              .context = contexts_[descriptor.hi >> intel::tx::kContextShift & 1]};  // [I-TXCONTEXT]
    in_frame_ = true;
  }
  if (advanced && intel::tx::type(descriptor.hi) == intel::tx::kTypeData) {
    append_data(descriptor);
  } else {
    frame_.unsupported = true;
  }
  if ((descriptor.hi & intel::tx::kEndOfPacket) == 0) return;
  in_frame_ = false;
  sink.send(number_, frame_);
}

/// Appends a descriptor's data to the frame. Keeps no more than the longest legal frame or segmentation request,
/// however many descriptors there are.
void CardTxQueue::append_data(const intel::Descriptor& descriptor) {
  const std::size_t length = intel::tx::data_length(descriptor.hi);
  const bool segment = (frame_.flags & intel::tx::kSegment) != 0;
  if (frame_.bytes.size() + length > (segment ? TxOffload::kMaxRequestBytes : hw::kMaxFrameBytes)) {
    frame_.too_long = true;
    return;
  }
  const std::byte* const data = dma_->read(ModelAccess::payload_read, number_, descriptor.lo, length);
  if (data == nullptr) {
    frame_.unreadable = true;
    return;
  }
  frame_.bytes.insert(frame_.bytes.end(), data, data + length);
}

/// Whether a descriptor without report-status is written back. Not with head write-back, which has no descriptors.
bool CardTxQueue::reports_unasked() {
  if (style_.unrequested == 0 || registers_.get<hw::TDWBAL>(number_).has(hw::TDWBAL::HEAD_WB_EN)) return false;
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  return (random_ >> 33) % 1000 < style_.unrequested;
}

void CardTxQueue::write_back(std::uint64_t slot, const intel::Descriptor& descriptor) {
  const hw::TDWBAL::Value low = registers_.get<hw::TDWBAL>(number_);
  if (!low.has(hw::TDWBAL::HEAD_WB_EN)) {
    const std::uint64_t high = descriptor.hi | intel::tx::kDone;
    // The format of a whole write-back has no address (82575 manual, "Transmit Descriptor Write Back Format").
    const intel::Descriptor whole{.lo = 0, .hi = intel::tx::kDone};
    const auto bytes = style_.whole ? std::as_bytes(std::span(&whole, 1)) : std::as_bytes(std::span(&high, 1));
    const std::uint64_t where = style_.whole ? slot : slot + sizeof high;
    if (threshold() > 1) return waiting_.add(ModelAccess::transmit_write_back, where, bytes);
    dma_->write(ModelAccess::transmit_write_back, number_, where, bytes);
    return;
  }
  const std::uint64_t where = std::uint64_t{registers_.get<hw::TDWBAH>(number_).raw()} << 32 | (low.raw() & ~3U);
  const std::uint32_t value = head();
  dma_->write(ModelAccess::head_write_back, number_, where, std::as_bytes(std::span(&value, 1)));
}

namespace {

namespace tx = intel::tx;

// Offsets in the headers, and the headers' least lengths.
constexpr std::size_t kTypeAt = 12;
constexpr std::size_t kIpv4LengthAt = 2;
constexpr std::size_t kIpv4IdAt = 4;
constexpr std::size_t kIpv4ChecksumAt = 10;
constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kIpv6LengthAt = 4;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::size_t kTcpSequenceAt = 4;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::size_t kTcpBytes = 20;
constexpr std::size_t kUdpLengthAt = 4;
constexpr std::size_t kUdpBytes = 8;
constexpr std::size_t kSctpBytes = 12;
constexpr std::byte kFinAndPush{0x09};
constexpr std::byte kCwr{0x80};
/// A smaller number in the place of the EtherType is the length of the frame's data (IEEE 802.3, 3.2.6).
constexpr std::uint16_t kMinEtherType = 0x0600;

void write_big16(std::span<std::byte> bytes, std::size_t at, std::size_t value) noexcept {
  bytes[at] = static_cast<std::byte>(value >> 8 & 0xFF);
  bytes[at + 1] = static_cast<std::byte>(value & 0xFF);
}

void add_big32(std::span<std::byte> bytes, std::size_t at, std::size_t addend) noexcept {
  const auto sum =
      static_cast<std::uint32_t>((std::uint32_t{read_big16(bytes, at)} << 16 | read_big16(bytes, at + 2)) + addend);
  write_big16(bytes, at, sum >> 16);
  write_big16(bytes, at + 2, sum & 0xFFFF);
}

}  // namespace

bool TxOffload::start(std::vector<std::byte>& bytes, std::uint64_t flags, const intel::Descriptor& context) {
  std::swap(bytes_, bytes);
  flags_ = flags;
  context_ = tx::context_of(context);
  discard();
  if (!asks(tx::kSegment)) {
    count_ = fits() ? 1 : 0;
  } else if (can_segment()) {
    count_ = (bytes_.size() - header_bytes() + context_.mss - 1) / context_.mss;
  }
  return count_ != 0;
}

/// Whether the frame has the headers into which checksums are inserted.
bool TxOffload::fits() const noexcept {
  if (asks(tx::kInsertIpChecksum) && (context_.ip_length < kIpv4Bytes || layer4_at() > bytes_.size())) return false;
  if (!asks(tx::kInsertL4Checksum)) return true;
  switch (layer4()) {
    case tx::kContextTcp: return layer4_at() + kTcpBytes <= bytes_.size();
    case tx::kContextUdp: return layer4_at() + kUdpBytes <= bytes_.size();
    case tx::kContextSctp: return layer4_at() + kSctpBytes <= bytes_.size();
    default: return false;
  }
}

bool TxOffload::can_segment() const noexcept {
  const std::size_t layer4_bytes = layer4() == tx::kContextTcp ? kTcpBytes : kUdpBytes;
  const bool headers = ip_at() >= kMacHeaderBytes && context_.ip_length >= (is_ipv4() ? kIpv4Bytes : kIpv6Bytes) &&
                       (layer4() == tx::kContextTcp || layer4() == tx::kContextUdp) &&
                       context_.l4_length >= layer4_bytes;
  const std::size_t payload = flags_ >> tx::kPayloadShift & tx::kPayloadMask;
  return headers && context_.mss != 0 && header_bytes() + context_.mss <= hw::kMaxFrameBytes && payload != 0 &&
         bytes_.size() == header_bytes() + payload;
}

std::span<const std::byte> TxOffload::next() {
  const std::size_t number = sent_++;
  if (!asks(tx::kSegment)) {
    insert_checksums(bytes_);
    return bytes_;
  }
  const std::size_t from = header_bytes() + number * context_.mss;
  const auto at = [this](std::size_t offset) { return bytes_.begin() + static_cast<std::ptrdiff_t>(offset); };
  segment_.assign(at(0), at(header_bytes()));
  segment_.insert(segment_.end(), at(from), at(std::min(from + context_.mss, bytes_.size())));
  update_headers(segment_);
  if (layer4() == tx::kContextTcp) {  // [I-M-TCPFLAGS]
    std::byte& tcp_flags = segment_[layer4_at() + kTcpFlagsAt];
    if (!finished()) tcp_flags &= ~kFinAndPush;
    if (number != 0) tcp_flags &= ~kCwr;
  }
  const std::span<std::byte> segment(segment_);
  if (is_ipv4()) {
    write_big16(segment, ip_at() + kIpv4IdAt, read_big16(segment, ip_at() + kIpv4IdAt) + number);
  }
  if (layer4() == tx::kContextTcp) add_big32(segment, layer4_at() + kTcpSequenceAt, number * context_.mss);
  insert_checksums(segment);
  return segment_;
}

/// The fields that hold a length.
void TxOffload::update_headers(std::span<std::byte> segment) const {
  const std::size_t tagged = read_big16(segment, kTypeAt) == 0x8100 ? hw::kVlanTagBytes : 0;
  if (kTypeAt + tagged + 2 <= ip_at() && read_big16(segment, kTypeAt + tagged) < kMinEtherType) {
    write_big16(segment, kTypeAt + tagged, segment.size() - kMacHeaderBytes - tagged);
  }
  const std::size_t ip_bytes = segment.size() - ip_at();
  if (is_ipv4()) {
    write_big16(segment, ip_at() + kIpv4LengthAt, ip_bytes);
  } else {
    write_big16(segment, ip_at() + kIpv6LengthAt, ip_bytes - kIpv6Bytes);
  }
  if (layer4() == tx::kContextUdp) write_big16(segment, layer4_at() + kUdpLengthAt, segment.size() - layer4_at());
}

// Software has put a start value into each checksum field. For layer 4 it is the sum of the pseudo-header, without the
// length in a segmentation request. For IPv4 it is 0, or the sum that cancels bytes which are not part of the header
// (Linux, igb_main.c, igb_tso).
void TxOffload::insert_checksums(std::span<std::byte> frame) const {
  if (asks(tx::kInsertIpChecksum) && (is_ipv4() || !asks(tx::kSegment))) {
    insert_checksum(frame.subspan(ip_at(), context_.ip_length), kIpv4ChecksumAt, 0, false);
  }
  if (!asks(tx::kInsertL4Checksum)) return;
  const std::span<std::byte> packet = frame.subspan(layer4_at());
  const std::size_t length = asks(tx::kSegment) ? packet.size() : 0;
  switch (layer4()) {
    case tx::kContextTcp: return insert_checksum(packet, kTcpChecksumAt, length, false);
    case tx::kContextUdp: return insert_checksum(packet, kUdpChecksumAt, length, true);
    default: return insert_sctp_checksum(packet);
  }
}

}  // namespace pollux::models::igb
