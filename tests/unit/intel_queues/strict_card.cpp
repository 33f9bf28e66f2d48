// SPDX-License-Identifier: BSD-3-Clause
#include "unit/intel_queues/strict_card.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace pollux::test {

namespace rx = hw::intel::rx;
namespace tx = hw::intel::tx;
using hw::intel::Descriptor;

namespace {

/// Command bits that need a context.
constexpr std::uint64_t kRequestFlags = tx::kInsertIpChecksum | tx::kInsertL4Checksum | tx::kSegment | tx::kInsertVlan;

}  // namespace

std::byte* CardMemory::at(std::uint64_t iova, std::size_t bytes) {
  for (const DmaSegment& segment : domain_.mapped) {
    if (iova < segment.iova || iova - segment.iova >= segment.size) continue;
    if (bytes <= segment.size - (iova - segment.iova)) return segment.address + (iova - segment.iova);
  }
  violate(fmt::format("{} bytes at IOVA {:#x} are not mapped for the card", bytes, iova));
  return nullptr;
}

void CardMemory::violate(std::string what) {
  // One error is often followed by thousands.
  constexpr std::size_t kMaxViolations = 20;
  if (violations_.size() < kMaxViolations) violations_.push_back(std::move(what));
}

void CardMemory::arm(std::uint64_t iova, std::uint32_t bytes, std::uint32_t headroom) {
  if (iova % 2 != 0) violate(fmt::format("armed an odd address, {:#x}", iova));
  if (at(iova, bytes) == nullptr) return;
  const auto above = armed_.lower_bound(iova);
  if (above != armed_.end() && above->first < iova + bytes) violate(fmt::format("armed {:#x} twice", iova));
  if (above != armed_.begin() && std::prev(above)->second > iova)
    violate(fmt::format("armed {:#x} over another", iova));
  const auto queued = queued_.lower_bound(iova - headroom);
  if (queued != queued_.end() && queued->first < iova + bytes)
    violate(fmt::format("armed {:#x}, which is to be sent", iova));
  armed_.emplace(iova, iova + bytes);
}

void CardMemory::queue(std::uint64_t iova, std::uint32_t bytes) {
  const auto above = armed_.upper_bound(iova);
  if (above != armed_.begin() && std::prev(above)->second > iova)
    violate(fmt::format("sends {:#x}, which is armed", iova));
  if (above != armed_.end() && above->first < iova + bytes) violate(fmt::format("sends {:#x}, which is armed", iova));
  ++queued_[iova];
}

void CardMemory::unqueue(std::uint64_t iova) {
  const auto found = queued_.find(iova);
  if (found != queued_.end() && --found->second == 0) queued_.erase(found);
}

Descriptor* StrictReceiver::slot(std::uint32_t index) {
  return reinterpret_cast<Descriptor*>(memory_.at(ring_.iova + index * sizeof(Descriptor), sizeof(Descriptor)));
}

void StrictReceiver::start() {
  head_ = tail_seen_ = owned_ = 0;
  begun_ = false;
  as_armed_.assign(ring_.size, {});
  memory_.disarm_all();
  tail_.reset();
}

void StrictReceiver::stop() {
  owned_ = 0;
  begun_ = false;
  memory_.disarm_all();
}

void StrictReceiver::look() {
  if (tail_.wrong_offset()) memory_.violate("a receive doorbell at another offset");
  for (const std::uint32_t value : tail_.look()) {
    if (value >= ring_.size) return memory_.violate(fmt::format("RDT {} in a ring of {}", value, ring_.size));
    const std::uint32_t more = (value - tail_seen_) & (ring_.size - 1);
    if (owned_ + more >= ring_.size) return memory_.violate(fmt::format("RDT {} reaches RDH {}", value, head_));
    for (std::uint32_t i = 0; i < more; ++i) check_armed((tail_seen_ + i) & (ring_.size - 1));
    tail_seen_ = value;
    owned_ += more;
  }
}

void StrictReceiver::check_armed(std::uint32_t index) {
  const Descriptor armed = *slot(index);
  if (ring_.header_bytes != 0) {
    memory_.arm(armed.hi, ring_.header_bytes, ring_.header_headroom);
  } else if (armed.hi != 0) {
    memory_.violate(fmt::format("slot {} is armed with {:#x} where its header address lies", index, armed.hi));
  }
  memory_.arm(armed.lo, ring_.buffer_bytes, ring_.headroom);
  as_armed_[index] = armed;
}

void StrictReceiver::write_back(std::span<const std::uint8_t> bytes, const Descriptor& back) {
  write_back({}, bytes, back);
}

void StrictReceiver::write_back(std::span<const std::uint8_t> header, std::span<const std::uint8_t> bytes,
                                const Descriptor& back) {
  Descriptor& descriptor = *slot(head_);
  if (ring_.header_bytes != 0) {
    const std::uint64_t header_iova = as_armed_[head_].hi;
    if (header.size() > ring_.header_bytes) memory_.violate("the test writes beyond a header buffer");
    if (!header.empty()) std::memcpy(memory_.at(header_iova, header.size()), header.data(), header.size());
    memory_.disarm(header_iova);
  }
  if (!begun_ && descriptor != as_armed_[head_])
    memory_.violate(fmt::format("slot {} changed after it was armed", head_));
  const std::uint64_t iova = as_armed_[head_].lo;
  if (bytes.size() > ring_.buffer_bytes) memory_.violate("the test writes beyond a buffer");
  if (!bytes.empty()) std::memcpy(memory_.at(iova, bytes.size()), bytes.data(), bytes.size());
  memory_.disarm(iova);
  __atomic_store_n(&descriptor.lo, back.lo, __ATOMIC_RELAXED);
  __atomic_store_n(&descriptor.hi, back.hi, __ATOMIC_RELEASE);
  head_ = (head_ + 1) & (ring_.size - 1);
  --owned_;
  begun_ = false;
}

void StrictReceiver::begin_write_back(std::uint64_t status) {
  Descriptor& descriptor = *slot(head_);
  if (!begun_ && descriptor != as_armed_[head_])
    memory_.violate(fmt::format("slot {} changed after it was armed", head_));
  constexpr std::uint64_t kUpperHalf = 0xFFFFFFFF00000000;
  __atomic_store_n(&descriptor.hi, (as_armed_[head_].hi & kUpperHalf) | status, __ATOMIC_RELEASE);
  begun_ = true;
}

Descriptor* StrictTransmitter::slot(std::uint32_t index) {
  return reinterpret_cast<Descriptor*>(memory_.at(ring_iova_ + index * sizeof(Descriptor), sizeof(Descriptor)));
}

void StrictTransmitter::start() {
  head_ = tail_seen_ = pending_ = 0;
  frame_.clear();
  contexts_ = {};
  contexts_seen_ = 0;
  requests_.clear();
  memory_.unqueue_all();
  tail_.reset();
}

void StrictTransmitter::stop() {
  pending_ = 0;
  // Frames that were sent but not reported count as stopped, since the driver cannot know.
  sent_ = reported_;
  frame_.clear();
  memory_.unqueue_all();
  expect_no_more();
}

void StrictTransmitter::look() {
  if (tail_.wrong_offset()) memory_.violate("a transmit doorbell at another offset");
  for (const std::uint32_t value : tail_.look()) {
    if (value >= size_) return memory_.violate(fmt::format("TDT {} in a ring of {}", value, size_));
    const std::uint32_t more = (value - tail_seen_) & (size_ - 1);
    if (pending_ + more >= size_) return memory_.violate(fmt::format("TDT {} reaches TDH {}", value, head_));
    for (std::uint32_t i = 0; i < more; ++i) check_queued((tail_seen_ + i) & (size_ - 1));
    tail_seen_ = value;
    pending_ += more;
    // The last descriptor of a burst must have RS set, or its buffers would not return while no more frames are sent.
    if (more != 0 && (slot((value - 1) & (size_ - 1))->hi & tx::kReportStatus) == 0) {
      memory_.violate("the last descriptor of a burst has no RS");
    }
  }
}

void StrictTransmitter::check_queued(std::uint32_t index) {
  const Descriptor queued = *slot(index);
  as_queued_[index] = queued;
  if (tx::type(queued.hi) == tx::kTypeContext) return check_context(index, queued);
  constexpr std::uint64_t kAllowed = tx::kDataLengthMask | tx::kData | tx::kEndOfPacket | tx::kReportStatus |
                                     tx::kPayloadMask << tx::kPayloadShift | kRequestFlags |
                                     std::uint64_t{1} << tx::kContextShift;
  if (tx::type(queued.hi) != tx::kTypeData || (queued.hi & required_) != required_ ||
      (queued.hi & ~(kAllowed | also_allowed_)) != 0) {
    memory_.violate(fmt::format("slot {} holds {:#x}, which is not a data descriptor", index, queued.hi));
  }
  const std::uint32_t bytes = tx::data_length(queued.hi);
  if (bytes == 0) memory_.violate(fmt::format("slot {} sends nothing", index));
  if (memory_.at(queued.lo, bytes) != nullptr) memory_.queue(queued.lo, bytes);
}

void StrictTransmitter::check_context(std::uint32_t index, const Descriptor& queued) {
  if (queued != tx::context(tx::context_of(queued)) || tx::context_of(queued).index > 1)
    memory_.violate(fmt::format("slot {} holds {:#x}, which is not a context", index, queued.hi));
  if ((queued.hi & tx::kReportStatus) != 0) memory_.violate("RS in a context");
  ++contexts_seen_;
}

std::uint32_t StrictTransmitter::process(std::uint32_t descriptors) {
  const std::uint32_t todo = std::min(descriptors, pending_);
  for (std::uint32_t i = 0; i < todo; ++i) process_one();
  return todo;
}

void StrictTransmitter::process_one() {
  Descriptor& descriptor = *slot(head_);
  const Descriptor queued = as_queued_[head_];
  if (descriptor != queued) memory_.violate(fmt::format("slot {} changed after the doorbell", head_));
  if (tx::type(queued.hi) == tx::kTypeContext) {
    if (!frame_.empty()) memory_.violate("a context in the middle of a frame");
    contexts_[tx::context_of(queued).index & 1] = queued;
  } else {
    append(queued);
    if ((queued.hi & tx::kEndOfPacket) != 0) end_of_frame(queued.hi);
  }
  if ((queued.hi & tx::kReportStatus) != 0) {
    if ((queued.hi & tx::kEndOfPacket) == 0) memory_.violate("RS in the middle of a frame");
    reported_ = sent_;
    report(descriptor);
  }
  head_ = (head_ + 1) & (size_ - 1);
  --pending_;
}

void StrictTransmitter::report(Descriptor& descriptor) {
  // A write-back may overwrite everything but DD.
  noise_ = noise_ * 6364136223846793005u + 1442695040888963407u;
  __atomic_store_n(&descriptor.lo, noise_, __ATOMIC_RELAXED);
  __atomic_store_n(&descriptor.hi, noise_ | tx::kDone, __ATOMIC_RELEASE);
}

void StrictTransmitter::append(const Descriptor& queued) {
  const std::uint32_t bytes = tx::data_length(queued.hi);
  if (!frame_.empty() && frame_bytes_ != tx::payload_length(queued.hi)) memory_.violate("a frame of two lengths");
  frame_bytes_ = tx::payload_length(queued.hi);
  const std::byte* const data = memory_.at(queued.lo, bytes);
  if (data == nullptr) return;
  const auto* const first = reinterpret_cast<const std::uint8_t*>(data);
  frame_.insert(frame_.end(), first, first + bytes);
  memory_.unqueue(queued.lo);
}

// A card that follows a request must find all headers in the frame.
void StrictTransmitter::check_request(std::uint64_t flags) {
  const auto& known = contexts_[flags >> tx::kContextShift & 1];
  if (!known) return memory_.violate("a request without a context");
  const tx::Context context = tx::context_of(*known);
  const std::uint64_t layer4 = context.kind & tx::kL4TypeMask;
  const std::uint32_t header = layer4 == tx::kContextTcp ? 20 : layer4 == tx::kContextSctp ? 12 : 8;
  const std::uint32_t headers =
      context.mac_length + context.ip_length +
      ((flags & tx::kInsertL4Checksum) != 0 ? std::max<std::uint32_t>(header, context.l4_length) : 0);
  if (headers > frame_.size()) memory_.violate("the headers of a request end beyond the frame");
  const bool has_ip = (flags & kRequestFlags & ~tx::kInsertVlan) != 0;
  if (context.mac_length < 14 || (has_ip && context.ip_length < 20)) memory_.violate("a context without headers");
  requests_.push_back({.flags = flags & kRequestFlags, .context = context});
}

void StrictTransmitter::end_of_frame(std::uint64_t flags) {
  if ((flags & kRequestFlags) != 0) check_request(flags);
  std::uint32_t packet_bytes = frame_bytes_;
  if ((flags & tx::kSegment) != 0 && !requests_.empty()) {
    const tx::Context& context = requests_.back().context;
    packet_bytes += std::uint32_t{context.mac_length} + context.ip_length + context.l4_length;
    if (context.mss == 0 || context.l4_length == 0 || frame_bytes_ == 0) memory_.violate("nothing to segment");
  }
  if (packet_bytes != frame_.size())
    memory_.violate(fmt::format("a frame of {} bytes has a packet length of {}", frame_.size(), packet_bytes));
  if (expected_.empty()) {
    memory_.violate("an unexpected frame was sent");
  } else {
    if (expected_.front() != frame_) memory_.violate(fmt::format("frame {} has other bytes", sent_));
    expected_.pop_front();
  }
  ++sent_;
  frame_.clear();
}

}  // namespace pollux::test
