// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

namespace pollux {

/// Undoes a step at the end of its scope, unless all later ones have succeeded and `keep` was called. For what has been
/// claimed and has no owner yet, while memory for the owner may be missing.
template <class Function>
class Undo {
 public:
  explicit Undo(Function undo) noexcept : undo_(std::move(undo)) {}
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    if (!kept_) undo_();
  }
  void keep() noexcept { kept_ = true; }

 private:
  Function undo_;
  bool kept_ = false;
};

}  // namespace pollux
