// SPDX-License-Identifier: BSD-3-Clause
#include "own_driver/card.hpp"

#include <algorithm>
#include <cstring>

namespace own_driver {

void Card::reset() noexcept {
  address_low_ = 0x00544F02;  // 02:4f:54:00, and 00 with the card's number
  address_high_ = (number_ & 0xFF) << 8;
  enabled_ = false;
  writing_.clear();
  waiting_.clear();
  read_ = 0;
}

void Card::receive(std::span<const std::byte> frame) noexcept {
  if (enabled_ && frame.size() <= kMaxFrame && waiting_.size() < kWaiting) {
    waiting_.emplace_back(frame.begin(), frame.end());
  }
}

std::uint32_t Card::next_word() noexcept {
  if (waiting_.empty()) return 0;
  const std::vector<std::byte>& frame = waiting_.front();
  std::uint32_t word = 0;
  const std::size_t bytes = std::min(sizeof word, frame.size() - read_);
  std::memcpy(&word, frame.data() + read_, bytes);
  read_ += bytes;
  if (read_ == frame.size()) {
    waiting_.pop_front();
    read_ = 0;
  }
  return word;
}

std::uint32_t Card::read32(unsigned, std::uint32_t offset) noexcept {
  switch (offset) {
    case kIdentity: return kIdentityValue;
    case kControl: return enabled_ ? kEnable : 0;
    case kStatus: return carrier_ ? kLinkUp : 0;
    case kAddressLow: return address_low_;
    case kAddressHigh: return address_high_;
    case kRxLength: return waiting_.empty() ? 0 : static_cast<std::uint32_t>(waiting_.front().size());
    case kRxData: return next_word();
    default: return 0;
  }
}

void Card::write32(unsigned, std::uint32_t offset, std::uint32_t value) noexcept {
  if (offset == kControl) {
    enabled_ = (value & kEnable) != 0;
    if (!enabled_) waiting_.clear(), read_ = 0;
  } else if (offset == kTxData && writing_.size() < kMaxFrame / 4 + 1) {
    writing_.push_back(value);
  } else if (offset == kTxSend) {
    const auto bytes = std::as_bytes(std::span(writing_));
    if (enabled_ && value <= bytes.size() && value <= kMaxFrame && wire_) wire_(bytes.first(value));
    writing_.clear();
  } else if (offset == kAddressLow) {
    address_low_ = value;
  } else if (offset == kAddressHigh) {
    address_high_ = value & 0xFFFF;
  }
}

}  // namespace own_driver
