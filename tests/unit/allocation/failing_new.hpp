// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

/// This program's operator new, which fails when it is told to. Thread rule: one thread at a time.
namespace pollux::test::failing_new {

/// The n-th allocation from now on, counted from 0, throws std::bad_alloc, or gives null where it is `nothrow`.
void fail_at(std::size_t n);
/// No allocation fails any more. Returns whether one did.
bool disarm();
/// None fails, and none is counted, while there is one of these.
class Pause {
 public:
  Pause();
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause();

 private:
  std::int64_t left_;
};
/// Pieces that were allocated and not freed yet.
[[nodiscard]] std::size_t live();

}  // namespace pollux::test::failing_new
