// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstdint>

#include "hw/intel/descriptors.hpp"

namespace pollux::drivers::intel {

/// What the card does with a frame: a context that describes its headers, and command bits of its data descriptors.
struct TxCommand {
  hw::intel::Descriptor context;  ///< without an index; only if `has_context`
  std::uint64_t flags = 0;        ///< for each of the frame's data descriptors
  std::uint64_t cleared = 0;      ///< bits that are clear in each of them, although others have them set
  std::uint32_t payload = 0;      ///< bytes: the frame's, or with segmentation those after its headers
  std::uint32_t headers = 0;      ///< bytes of the headers that the context describes
  bool has_context = false;
};

/// A request for checksums that the slow path has checked and whose context the card has. tx_repeat.cpp sends frames
/// that repeat it as fast as frames without a request.
struct TxRepeat {
  std::uint64_t low = 0;         ///< flags, l2 and l3 of the request
  std::uint64_t high = 0;        ///< its other lengths; the tags matter only if they are requested
  std::uint64_t command = 0;     ///< the descriptor's high word for the shortest frame
  std::uint64_t per_byte = 0;    ///< as in TxFastPath
  std::uint32_t shortest = 0;    ///< as in TxFastPath
  std::uint32_t max_excess = 0;  ///< as in TxFastPath
  std::size_t ip_checksum = 0;   ///< offset in the frame of the IPv4 checksum, which is cleared; 0 if there is none
};

/// The contexts that the card keeps for a transmit queue. A frame that needs one of them needs no context descriptor.
/// [I-TXCONTEXT] Two, selected by the index in a descriptor. A reset of the card or of the queue may clear them.
class TxContexts {
 public:
  static constexpr std::uint32_t kContexts = 2;

  /// The slots that a frame needs in front of its data: 1 if the card does not have its context.
  [[nodiscard]] std::uint32_t slots_for(const TxCommand& command) const noexcept {
    return command.has_context && index_of(command.context) == kContexts ? 1 : 0;
  }
  /// The bits of the data descriptors that select a context which the card has.
  [[nodiscard]] std::uint64_t select(const TxCommand& command) noexcept {
    const std::uint32_t index = index_of(command.context);
    use(index);
    return index_bits(index);
  }
  /// Replaces the context that was used less recently. Returns the descriptor that gives it to the card.
  [[nodiscard]] hw::intel::Descriptor replace_oldest(const TxCommand& command) noexcept {
    known_[oldest_] = command.context;
    repeats_[oldest_] = {};
    return {command.context.lo, command.context.hi | index_bits(oldest_)};
  }
  void clear() noexcept { *this = {}; }
  void forget_repeats() noexcept { repeats_ = {}; }
  /// Whether a frame needed a context since the ring was empty. Only then are there slots without an mbuf.
  [[nodiscard]] bool any() const noexcept { return (known_[0].hi | known_[1].hi) != 0; }

  /// Marks a context as the one used last.
  void use(std::uint32_t index) noexcept { oldest_ = 1 - index; }
  /// `repeat`: the request that the context used last serves.
  void remember(const TxRepeat& repeat) noexcept { repeats_[1 - oldest_] = repeat; }
  [[nodiscard]] const TxRepeat& repeat(std::uint32_t index) const noexcept { return repeats_[index]; }

 private:
  [[nodiscard]] static constexpr std::uint64_t index_bits(std::uint32_t index) noexcept {
    return std::uint64_t{index} << hw::intel::tx::kContextShift;
  }
  [[nodiscard]] std::uint32_t index_of(const hw::intel::Descriptor& context) const noexcept {
    if (known_[0] == context) return 0;
    return known_[1] == context ? 1 : kContexts;
  }

  std::array<hw::intel::Descriptor, kContexts> known_{};  // all zero, which is no context, until the card has one
  std::array<TxRepeat, kContexts> repeats_{};             // matches no frame until it is remembered
  std::uint32_t oldest_ = 0;
};

}  // namespace pollux::drivers::intel
