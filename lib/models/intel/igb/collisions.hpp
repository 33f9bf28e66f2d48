// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <deque>

#include "models/intel/igb/register_file.hpp"
#include "models/intel/igb/statistics.hpp"

namespace pollux::models::igb {

/// What a frame meets on a half-duplex link before it is sent.
struct Contention {
  bool deferred = false;  ///< the wire was busy at first
  std::uint32_t collisions =
      0;              ///< within the first 64 bytes; after the last one that TCTL.CT allows the card gives up
  bool late = false;  ///< a collision after 64 bytes; without TCTL.RTLC the card gives up
};

/// [I-M-COLLISION] The collisions of a half-duplex link. A wire between two in-process cards has none: a test injects
/// them. The frames of a full-duplex link meet none.
class Collisions {
 public:
  Collisions(RegisterFile& registers, Statistics& statistics) : registers_(registers), statistics_(statistics) {}

  void set_half_duplex(bool half) noexcept { half_duplex_ = half; }
  /// One more frame, of those that follow, meets this.
  void inject(const Contention& contention) { injected_.push_back(contention); }
  /// Counts what the next frame meets. False: the card gives up, and the frame is lost.
  [[nodiscard]] bool send();

 private:
  [[nodiscard]] bool count_collisions(std::uint32_t collisions);

  RegisterFile& registers_;
  Statistics& statistics_;
  std::deque<Contention> injected_;
  bool half_duplex_ = false;
};

}  // namespace pollux::models::igb
