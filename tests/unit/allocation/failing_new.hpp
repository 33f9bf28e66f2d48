// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>

/// This program's operator new, which fails on demand.
/// Thread rule: one thread at a time.
namespace pollux::test::failing_new {

/// Makes the n-th allocation from now on, counted from 0, throw std::bad_alloc, or return null if it is `nothrow`.
void fail_at(std::size_t n);
/// Lets no allocation fail any more. Returns whether one failed.
bool disarm();
/// While an object exists, no allocation fails or is counted.
class Pause {
 public:
  Pause();
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause();

 private:
  std::int64_t left_;
};
/// Number of allocations that are not freed yet.
[[nodiscard]] std::size_t live();

}  // namespace pollux::test::failing_new
