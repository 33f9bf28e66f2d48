// SPDX-License-Identifier: BSD-3-Clause
#include "capture/pcapng_counts.hpp"

#include <algorithm>
#include <cstring>

namespace pollux::tool {
namespace {

// draft-ietf-opsawg-pcapng, 4.3 and 4.6.
constexpr std::uint32_t kPacket = 6;
constexpr std::uint32_t kStatistics = 5;
constexpr std::uint16_t kOsDrop = 7;
constexpr std::size_t kHead = 8;  // a block's type and length
constexpr std::size_t kStatisticsHead = 20;
constexpr std::size_t kTail = 4;
constexpr std::uint32_t kMaxBlock = std::uint32_t{1} << 24;

template <class Number>
Number at(const std::string& bytes, std::size_t offset) {
  Number number{};
  std::memcpy(&number, bytes.data() + offset, sizeof number);
  return number;
}

std::uint64_t lost_in(const std::string& block) {
  constexpr std::size_t kOption = 4;
  for (std::size_t offset = kStatisticsHead; offset + kOption + sizeof(std::uint64_t) <= block.size() - kTail;) {
    const auto code = at<std::uint16_t>(block, offset);
    const auto length = at<std::uint16_t>(block, offset + 2);
    if (code == kOsDrop && length == sizeof(std::uint64_t)) return at<std::uint64_t>(block, offset + kOption);
    offset += kOption + ((length + 3U) & ~3U);
  }
  return 0;
}

}  // namespace

void PcapngCounts::finish_block() {
  const auto type = at<std::uint32_t>(block_, 0);
  if (type == kPacket) ++frames_;
  if (type == kStatistics) {
    has_statistics_ = true;
    lost_ += lost_in(block_);
  }
  block_.clear();
}

std::size_t PcapngCounts::add(std::span<const std::byte> bytes, std::uint64_t limit) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !broken_ && (frames_ < limit || !block_.empty())) {
    std::size_t wanted = kHead;
    if (block_.size() >= kHead) wanted = at<std::uint32_t>(block_, sizeof(std::uint32_t));
    const std::size_t more = std::min(wanted - block_.size(), bytes.size() - taken);
    block_.append(reinterpret_cast<const char*>(bytes.data()) + taken, more);
    taken += more;
    if (block_.size() < kHead) continue;
    const auto length = at<std::uint32_t>(block_, sizeof(std::uint32_t));
    broken_ = length < kHead + kTail || length > kMaxBlock || length % 4 != 0;
    if (!broken_ && block_.size() == length) finish_block();
  }
  return taken;
}

}  // namespace pollux::tool
