// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "top/rates.hpp"

namespace pollux::tool::top {

enum class Style { plain, title, heading, selected, alert };

struct Line {
  std::string text = {};  ///< UTF-8
  Style style = Style::plain;
};

/// What the user chose by keys.
struct View {
  double interval = 1;       ///< seconds
  std::size_t selected = 0;  ///< the port whose details are shown
  bool shows_queues = true;
  bool shows_idle = true;  ///< ports without frames, too
  bool measures = true;    ///< bursts
  bool shows_help = false;
  bool has_keys = true;  ///< false: only a file or a pipe gets the pages
};

struct Size {
  int rows = 24;
  int columns = 80;
};

/// A number in at most six characters: "1.488M", "999", "-" if it is not known.
[[nodiscard]] std::string short_text(Figure value);

/// The ports that the view shows.
[[nodiscard]] std::vector<const PortRates*> shown_ports(const std::vector<PortRates>& ports, const View& view);

/// The page as it fits the size: the ports, and below them the queues, drops and bursts of the selected one.
[[nodiscard]] std::vector<Line> page_of(const std::vector<PortRates>& ports, const View& view, Size size);

}  // namespace pollux::tool::top
