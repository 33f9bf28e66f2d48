// SPDX-License-Identifier: BSD-3-Clause
#include "unit/intel_queues/frame_source.hpp"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace pollux::test {

namespace rx = hw::intel::rx;

namespace {

constexpr std::uint64_t kHarmless = rx::kVlan | rx::kUdpChecked | rx::kL4Checked | rx::kIpChecked | rx::kInexact |
                                    rx::kL4Error | rx::kIpError | rx::kTimeStamped;
constexpr std::uint64_t kMaxPieces = 32;

}  // namespace

WireFrame FrameSource::make(bool may_be_bad) {
  WireFrame frame;
  const std::uint32_t kind = below(16);
  const std::uint32_t max_bytes = kind == 0  ? options_.max_bytes
                                  : kind < 5 ? std::min(options_.buffer_bytes, options_.max_bytes)
                                             : 128;
  frame.bytes.resize(1 + below(max_bytes));
  for (std::size_t at = 0; at < frame.bytes.size(); at += sizeof content_) {
    content_ = content_ * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(frame.bytes.data() + at, &content_, std::min(sizeof content_, frame.bytes.size() - at));
  }
  for (std::size_t from = 0; from < frame.bytes.size(); from += options_.buffer_bytes) {
    const std::size_t to = std::min<std::size_t>(from + options_.buffer_bytes, frame.bytes.size());
    const bool last = to == frame.bytes.size();
    const std::uint64_t status = rx::kDone | (last ? rx::kEndOfPacket : 0) | (random_() & kHarmless);
    frame.pieces.push_back({from,
                            to,
                            {random_(), status | std::uint64_t{to - from} << rx::kLengthShift |
                                            std::uint64_t{random_() & 0xFFFF} << rx::kVlanShift}});
  }
  if (may_be_bad && options_.hostile && below(20) == 0) spoil(frame);
  return frame;
}

void FrameSource::spoil(WireFrame& frame) {
  WireFrame::Piece& piece = frame.pieces[below(static_cast<std::uint32_t>(frame.pieces.size()))];
  const std::uint64_t length_bits = rx::kLengthMask << rx::kLengthShift;
  switch (below(3)) {
    case 0:
      frame.outcome = RxOutcome::error;
      piece.back.hi |= rx::kDataError;
      break;
    case 1: {
      frame.outcome = RxOutcome::bad_length;
      const std::uint32_t max_bytes = below(2) == 0 ? 1 : 0xFFFF - options_.buffer_bytes;  // often by a single byte
      const std::uint64_t wrong_length = options_.buffer_bytes + 1 + below(max_bytes);
      piece.back.hi = (piece.back.hi & ~length_bits) | wrong_length << rx::kLengthShift;
      break;
    }
    default: {
      // More segments than a queue accepts.
      const auto excess = kMaxPieces + 1 - std::min<std::uint64_t>(kMaxPieces, frame.pieces.size()) + below(40);
      frame.outcome = RxOutcome::too_many_segments;
      const std::uint64_t one = std::uint64_t{1} << rx::kLengthShift;
      frame.pieces.insert(frame.pieces.begin(), excess, {0, 1, {random_(), rx::kDone | one}});
    }
  }
}

void FrameSource::write_piece(StrictReceiver& receiver, std::deque<WireFrame>& arrived) {
  const WireFrame::Piece& piece = current_.pieces[next_piece_];
  receiver.write_back(std::span(current_.bytes).subspan(piece.from, piece.to - piece.from), piece.back);
  if (++next_piece_ < current_.pieces.size()) return;
  next_piece_ = 0;
  arrived.push_back(std::move(current_));
}

void FrameSource::deliver(StrictReceiver& receiver, std::uint32_t slots, std::deque<WireFrame>& arrived) {
  for (; slots != 0 && receiver.owned() != 0; --slots) {
    if (next_piece_ == 0) current_ = make(true);
    if (options_.hostile && !receiver.write_back_begun() && below(60) == 0) {
      return receiver.begin_write_back(rx::kDone | (below(2) == 0 ? rx::kEndOfPacket : 0));
    }
    write_piece(receiver, arrived);
  }
}

void FrameSource::deliver_good(StrictReceiver& receiver, std::deque<WireFrame>& arrived) {
  current_ = make(false);
  do {
    write_piece(receiver, arrived);
  } while (next_piece_ != 0);
}

}  // namespace pollux::test
