// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "pollux/base/error.hpp"
#include "top/page.hpp"

namespace pollux::tool::top {

enum class Key { none, quit, help, up, down, queues, idle, measure, interval, update, resized, closed };

/// The terminal, by ncurses. At most one object at a time; its end gives the terminal back as it was.
class Screen {
 public:
  /// Errors: not_supported (TERM names no terminal that ncurses knows, or one without cursor control).
  [[nodiscard]] static Result<Screen> open(bool colours);
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen();

  [[nodiscard]] Size size() const;
  void show(const std::vector<Line>& lines);
  /// Waits for a key, at most that long. `closed`: the terminal is gone.
  [[nodiscard]] Key wait_key(std::chrono::milliseconds limit);
  /// Asks for a text in the last row; empty if the user gives none.
  [[nodiscard]] std::string ask(const std::string& question);

 private:
  Screen() = default;
  bool owns_ = true;
};

}  // namespace pollux::tool::top
