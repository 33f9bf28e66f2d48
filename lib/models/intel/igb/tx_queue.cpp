// SPDX-License-Identifier: BSD-3-Clause
#include "models/intel/igb/tx_queue.hpp"

#include <cstring>

#include "hw/intel/igb/limits.hpp"
#include "models/intel/igb/tx_offload.hpp"

namespace pollux::models::igb {

void TxQueue::reset() {
  broken_ = false;
  in_frame_ = false;
  frame_ = {};
  contexts_ = {};
  waiting_.discard();
  set_enabled(number_ == 0);  // QEMU, igb_core.c, igb_mac_reg_init
}

void TxQueue::set_enabled(bool enabled) {
  if (enabled && !enabled_) {
    broken_ = false;
    in_frame_ = false;
  }
  if (!enabled) flush_write_backs();
  enabled_ = enabled;
  const hw::TXDCTL::Value control = registers_.get<hw::TXDCTL>(number_);
  registers_.set<hw::TXDCTL>(number_, enabled ? control.with(hw::TXDCTL::ENABLE) : control.without(hw::TXDCTL::ENABLE));
}

void TxQueue::write_head(std::uint32_t value) {
  if (!enabled_ || ring_size() == 0) registers_.set<hw::TDH>(number_, hw::TDH::HEAD(value));
}

std::uint32_t TxQueue::ring_size() const { return registers_.get<hw::TDLEN>(number_).raw() / hw::kDescriptorBytes; }

bool TxQueue::has_work() const {
  return enabled_ && !broken_ && dma_->active() && head() < ring_size() && tail() < ring_size() && head() != tail();
}

std::uint32_t TxQueue::threshold() const { return registers_.get<hw::TXDCTL>(number_).get(hw::TXDCTL::WTHRESH); }

bool TxQueue::process(TxSink& sink) {
  bool wrote_back = false;
  while (has_work() && (in_frame_ || sink.ready())) {
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

void TxQueue::process_descriptor(const intel::Descriptor& descriptor, TxSink& sink) {
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
void TxQueue::append_data(const intel::Descriptor& descriptor) {
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
bool TxQueue::reports_unasked() {
  if (style_.unrequested == 0 || registers_.get<hw::TDWBAL>(number_).has(hw::TDWBAL::HEAD_WB_EN)) return false;
  random_ = random_ * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX
  return (random_ >> 33) % 1000 < style_.unrequested;
}

void TxQueue::write_back(std::uint64_t slot, const intel::Descriptor& descriptor) {
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

}  // namespace pollux::models::igb
