// SPDX-License-Identifier: BSD-3-Clause
#include "own_driver/queues.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "own_driver/registers.hpp"

namespace own_driver {
namespace {

constexpr std::uint32_t kMinFrame = 14;

// Broadcasts are not counted as multicast.
bool is_multicast(const pollux::Mbuf& frame) noexcept {
  const std::uint8_t* const address = frame.data();
  return (address[0] & 1) != 0 && !std::all_of(address, address + 6, [](std::uint8_t byte) { return byte == 0xFF; });
}

void add(Count& count, std::uint64_t n) noexcept {
  count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}

}  // namespace

void RxQueue::setup(const pollux::Bar& bar, pollux::Mempool pool, std::uint16_t port) {
  bar_ = bar;
  pool_ = std::move(pool);
  port_ = port;
}

void RxQueue::skip(std::uint32_t length) noexcept {
  for (std::uint32_t at = 0; at < length; at += 4) static_cast<void>(bar_.read32(kRxData));
}

// A frame longer than one buffer becomes a chain of mbufs.
bool RxQueue::allocate(pollux::MbufPtr& frame, std::uint32_t length) noexcept {
  do {
    pollux::MbufPtr segment = pool_->allocate();
    if (segment == nullptr) return false;
    const std::uint32_t part = std::min(length, segment->tailroom());
    if (segment->append(part) == nullptr) return false;
    length -= part;
    if (frame == nullptr) {
      frame = std::move(segment);
    } else if (!frame->chain(segment)) {
      return false;
    }
  } while (length != 0);
  return true;
}

// Words follow each other in the frame, whatever its segments are.
pollux::MbufPtr RxQueue::read(std::uint32_t length) noexcept {
  pollux::MbufPtr frame;
  if (!allocate(frame, length)) return {};
  std::uint32_t word = 0;
  unsigned bytes_left = 0;
  for (pollux::Mbuf* segment = frame.get(); segment != nullptr; segment = segment->next()) {
    for (std::uint32_t i = 0; i < segment->length(); ++i, --bytes_left, word >>= 8) {
      if (bytes_left == 0) {
        word = bar_.read32(kRxData);
        bytes_left = sizeof word;
      }
      segment->data()[i] = static_cast<std::uint8_t>(word);
    }
  }
  pollux::MbufAccess::set_port(*frame, port_);
  return frame;
}

// A card's values are untrusted: a length above the limit is not a frame.
std::uint32_t RxQueue::burst(pollux::RxQueue& base, pollux::Mbuf** out, std::uint32_t limit) noexcept {
  auto& queue = static_cast<RxQueue&>(base);
  std::uint32_t count = 0;
  while (count < limit) {
    const std::uint32_t length = queue.bar_.read32(kRxLength);
    if (length == 0) break;
    if (length > kMaxFrame) {
      add(queue.bad_length, 1);
      break;
    }
    add(queue.packets, 1);
    add(queue.bytes, length);
    if (length > queue.max_frame_.load(std::memory_order_relaxed)) {
      queue.skip(length);
      add(queue.too_long, 1);
      continue;
    }
    pollux::MbufPtr frame = queue.read(length);
    if (frame == nullptr) {
      queue.skip(length);
      add(queue.pool_empty, 1);
      continue;
    }
    if (is_multicast(*frame)) add(queue.multicast, 1);
    out[count++] = frame.release();
  }
  add(queue.handed_out, count);
  return count;
}

// A segment may end inside a word, so words are assembled from all segments.
void TxQueue::write(const pollux::Mbuf& frame) noexcept {
  std::array<std::uint8_t, 4> word{};
  std::size_t filled = 0;
  const auto flush = [&] {
    std::uint32_t value = 0;
    std::memcpy(&value, word.data(), sizeof value);
    bar_.write32(kTxData, value);
    word = {};
    filled = 0;
  };
  for (const pollux::Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    for (std::uint32_t i = 0; i < segment->length(); ++i) {
      word[filled++] = segment->data()[i];
      if (filled == word.size()) flush();
    }
  }
  if (filled != 0) flush();
  bar_.write32(kTxSend, frame.packet_length());
}

Count* TxQueue::drop_reason(pollux::Mbuf& frame) noexcept {
  if (frame.packet_length() < kMinFrame) return &too_short;
  if (frame.packet_length() > kMaxFrame) return &too_long;
  for (const pollux::Mbuf* segment = &frame; segment != nullptr; segment = segment->next()) {
    if (segment->length() == 0) return &bad_segment;
  }
  switch (pollux::complete_checksums(frame)) {
    case pollux::ChecksumCompletion::complete: break;
    case pollux::ChecksumCompletion::shared_data: return &shared_checksum;
    default: return &bad_offload;
  }
  return frame.tx_offload().flags == 0 ? nullptr : &unsupported_offload;
}

std::uint32_t TxQueue::burst(pollux::TxQueue& base, pollux::Mbuf* const* mbufs, std::uint32_t count) noexcept {
  auto& queue = static_cast<TxQueue&>(base);
  for (std::uint32_t i = 0; i < count; ++i) {
    const pollux::MbufPtr frame(mbufs[i]);  // freed in every case
    if (Count* const why = queue.drop_reason(*frame)) {
      add(*why, 1);
      continue;
    }
    queue.write(*frame);
    add(queue.packets, 1);
    add(queue.bytes, frame->packet_length());
  }
  queue.bar_.flush();
  add(queue.taken, count);
  return count;
}

}  // namespace own_driver
