// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>
#include <random>
#include <vector>

#include "unit/intel_queues/strict_card.hpp"

namespace pollux::test {

/// The expected outcome of a received frame.
enum class RxOutcome { good, bad_length, error, too_many_segments };

/// A frame from the wire, cut into the pieces that the card writes back.
struct WireFrame {
  struct Piece {
    std::size_t from = 0;  ///< first byte of the frame in this piece
    std::size_t to = 0;    ///< one past the last byte
    hw::intel::Descriptor back;
  };
  RxOutcome outcome = RxOutcome::good;
  std::vector<std::uint8_t> bytes;
  std::vector<Piece> pieces;
};

/// Makes frames of 1 to 9,500 bytes. With Options::hostile, some have wrong write-backs.
class FrameSource {
 public:
  struct Options {
    std::uint32_t buffer_bytes = 2048;
    std::uint32_t max_bytes = 9500;
    bool hostile = false;
  };
  FrameSource(std::mt19937& random, const Options& options) : random_(random), options_(options) {}

  /// Writes pieces of frames into at most `slots` of the card's buffers. Appends completed frames to `arrived`.
  void deliver(StrictReceiver& receiver, std::uint32_t slots, std::deque<WireFrame>& arrived);
  /// Writes one whole good frame. The card must own enough buffers for it.
  void deliver_good(StrictReceiver& receiver, std::deque<WireFrame>& arrived);
  [[nodiscard]] bool frame_begun() const { return next_piece_ != 0; }
  /// Discards an incomplete frame after the card has stopped.
  void forget() { next_piece_ = 0; }

 private:
  [[nodiscard]] std::uint32_t below(std::uint32_t limit) { return static_cast<std::uint32_t>(random_() % limit); }
  [[nodiscard]] WireFrame make(bool may_be_bad);
  void spoil(WireFrame& frame);
  void write_piece(StrictReceiver& receiver, std::deque<WireFrame>& arrived);

  std::mt19937& random_;
  Options options_;
  std::uint64_t content_ = 0;
  WireFrame current_;
  std::size_t next_piece_ = 0;
};

}  // namespace pollux::test
