// SPDX-License-Identifier: BSD-3-Clause
#include "top/screen.hpp"

// Its macros would replace names such as erase and move.
#define NCURSES_NOMACROS
#include <curses.h>

#include <poll.h>
#include <unistd.h>

#include <array>
#include <clocale>
#include <cstdio>
#include <utility>

namespace pollux::tool::top {
namespace {

constexpr short kAlertColours = 1;

attr_t attributes_of(Style style) {
  switch (style) {
    case Style::plain: return A_NORMAL;
    case Style::title: return A_BOLD;
    case Style::heading: return A_UNDERLINE;
    case Style::selected: return A_REVERSE;
    case Style::alert: return has_colors() ? A_BOLD | static_cast<attr_t>(COLOR_PAIR(kAlertColours)) : A_BOLD;
  }
  return A_NORMAL;
}

Key key_of(int code) {
  switch (code) {
    case 'q':
    case 'Q': return Key::quit;
    case 'h':
    case '?': return Key::help;
    case KEY_UP: return Key::up;
    case KEY_DOWN: return Key::down;
    case '1': return Key::queues;
    case 'i': return Key::idle;
    case 'm': return Key::measure;
    case 'd':
    case 's': return Key::interval;
    case ' ': return Key::update;
    case KEY_RESIZE: return Key::resized;
    default: return Key::none;
  }
}

}  // namespace

Result<Screen> Screen::open(bool colours) {
  std::setlocale(LC_CTYPE, "");  // names are in UTF-8
  // initscr() would end the program where TERM is unknown.
  if (::newterm(nullptr, stdout, stdin) == nullptr) {
    return fail(ErrorCode::not_supported, "ncurses does not know this terminal",
                "set TERM to the name of your terminal, such as xterm, or use --batch");
  }
  // Without these, pages would be printed one after the other, with blanks in place of cursor movements.
  if (::tigetstr("cup") == nullptr) {
    ::endwin();
    return fail(ErrorCode::not_supported, "this terminal has no cursor control",
                "print pages instead, with --batch, or set TERM to what your terminal is, such as xterm");
  }
  ::cbreak();
  ::noecho();
  ::keypad(stdscr, true);
  ::curs_set(0);
  if (colours && ::has_colors()) {
    ::start_color();
    ::use_default_colors();
    ::init_pair(kAlertColours, COLOR_RED, -1);
  }
  return Screen();
}

Screen::Screen(Screen&& other) noexcept : owns_(std::exchange(other.owns_, false)) {}

Screen::~Screen() {
  if (owns_) ::endwin();
}

Size Screen::size() const { return {LINES, COLS}; }

void Screen::show(const std::vector<Line>& lines) {
  ::erase();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const attr_t attributes = attributes_of(lines[i].style);
    ::attrset(static_cast<int>(attributes));
    ::mvaddnstr(static_cast<int>(i), 0, lines[i].text.c_str(), -1);
  }
  ::attrset(A_NORMAL);
  ::refresh();
}

Key Screen::wait_key(std::chrono::milliseconds limit) {
  ::timeout(static_cast<int>(limit.count()));
  const int code = ::getch();
  if (code != ERR) return key_of(code);
  // A terminal that is gone has an error at once, each time.
  pollfd terminal{STDIN_FILENO, POLLIN, 0};
  const bool is_gone = ::poll(&terminal, 1, 0) > 0 && (terminal.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
  return is_gone ? Key::closed : Key::none;
}

std::string Screen::ask(const std::string& question) {
  std::array<char, 32> answer{};
  ::timeout(-1);
  ::echo();
  ::curs_set(1);
  ::move(LINES - 1, 0);
  ::clrtoeol();
  ::addstr(question.c_str());
  const bool given = ::getnstr(answer.data(), static_cast<int>(answer.size()) - 1) == OK;
  ::curs_set(0);
  ::noecho();
  return given ? answer.data() : "";
}

}  // namespace pollux::tool::top
