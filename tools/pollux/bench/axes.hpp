// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <vector>

#include "bench/canvas.hpp"

namespace pollux::tool::bench {

inline constexpr Color kInk{0.15, 0.15, 0.18};
inline constexpr Color kFaint{0.87, 0.87, 0.89};

/// A scale from values to places.
struct Scale {
  double low = 0;   ///< value at the beginning
  double high = 1;  ///< value at the end
  bool logarithmic = false;

  /// 0 at `low`, 1 at `high`; values outside are moved to the ends.
  [[nodiscard]] double place(double value) const noexcept;
};

struct Tick {
  double value = 0;
  std::string label;
};

/// Powers of ten around `low` and `high`, both above 0.
[[nodiscard]] Scale decades_around(double low, double high) noexcept;
/// A tick for each power of ten of the scale.
[[nodiscard]] std::vector<Tick> decade_ticks(const Scale& scale);

/// A frame with a title, two axes, ticks and a grid, in which values are drawn.
struct Panel {
  Point corner;  ///< of the area inside the axes
  double width = 0;
  double height = 0;
  std::string title;
  std::string x_label;
  std::string y_label;
  Scale x;
  Scale y;

  [[nodiscard]] Point at(double x_value, double y_value) const noexcept {
    return {corner.x + x.place(x_value) * width, corner.y + (1 - y.place(y_value)) * height};
  }
  void draw(Canvas& canvas, const std::vector<Tick>& x_ticks, const std::vector<Tick>& y_ticks, bool x_grid) const;
  /// A remark in the middle of an empty panel.
  void draw_remark(Canvas& canvas, const std::string& text) const;
};

}  // namespace pollux::tool::bench
