// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace pollux {

/// Never destroys `value`, so that what it owns stays as long as the process. Needs no memory.
template <class T>
void never_destroy(T value) noexcept {
  alignas(T) std::byte place[sizeof(T)];
  std::construct_at(reinterpret_cast<T*>(place), std::move(value));
}

}  // namespace pollux
