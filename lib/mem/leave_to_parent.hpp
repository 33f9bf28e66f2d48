// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

namespace pollux {

/// Never destroys the object: for destructors in a forked child (ContextState::is_own).
template <class T>
void leave_to_parent(std::shared_ptr<T> object) noexcept {
  alignas(std::shared_ptr<T>) std::byte place[sizeof(std::shared_ptr<T>)];
  ::new (static_cast<void*>(place)) std::shared_ptr<T>(std::move(object));
}

}  // namespace pollux
