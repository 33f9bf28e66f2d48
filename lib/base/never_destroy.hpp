// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace pollux {

/// Moves `value` to storage that is never destroyed, so what it owns exists until the process ends. Allocates nothing.
template <class T>
void never_destroy(T value) noexcept {
  alignas(T) std::byte storage[sizeof(T)];
  std::construct_at(reinterpret_cast<T*>(storage), std::move(value));
}

}  // namespace pollux
