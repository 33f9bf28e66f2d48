// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace pollux::models::virtio {

/// What a device that lies does once, for tests of drivers.
enum class FaultKind : std::uint8_t {
  none,
  used_id,         ///< a used entry has an id that no buffer has
  used_twice,      ///< a buffer is used twice
  used_never,      ///< a buffer is never given back
  used_length,     ///< more bytes were written than the buffer has
  index_jump,      ///< split: the used index is too large by the queue's size; packed: wrong wrap counter
  no_buffers,      ///< num_buffers of a received frame is 0
  many_buffers,    ///< num_buffers is larger than the number of buffers used
  config_changes,  ///< MTU, link and number of queues change
  no_answer,       ///< the control queue never answers, from this command on
  needs_reset,     ///< the device declares that it needs a reset
  no_interrupt,    ///< an interrupt is lost
};

/// The planned fault and when it happens.
struct Faults {
  enum class Where : std::uint8_t { anywhere, rx, tx };
  FaultKind kind = FaultKind::none;
  Where where = Where::anywhere;
  std::uint64_t at = 0;    ///< occurrences that pass before
  std::uint64_t seen = 0;  ///< occurrences so far

  /// Counts an occurrence of what `kind` can befall. True at the one to be injected.
  [[nodiscard]] bool strikes(FaultKind which, bool receives) noexcept {
    if (kind != which || (where == Where::rx && !receives) || (where == Where::tx && receives)) return false;
    return seen++ == at;
  }
  /// Whether it has been injected, or is from now on.
  [[nodiscard]] bool struck() const noexcept { return seen > at; }
};

}  // namespace pollux::models::virtio
