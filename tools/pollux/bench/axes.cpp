// SPDX-License-Identifier: BSD-3-Clause
#include "bench/axes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pollux::tool::bench {

double Scale::place(double value) const noexcept {
  const double bounded = std::clamp(value, low, high);
  if (logarithmic) return std::log10(bounded / low) / std::log10(high / low);
  return (bounded - low) / (high - low);
}

Scale decades_around(double low, double high) noexcept {
  const double from = std::floor(std::log10(low));
  const double to = std::max(std::ceil(std::log10(high)), from + 1);
  return {std::pow(10.0, from), std::pow(10.0, to), true};
}

std::vector<Tick> decade_ticks(const Scale& scale) {
  std::vector<Tick> ticks;
  const auto from = static_cast<int>(std::lround(std::log10(scale.low)));
  const auto to = static_cast<int>(std::lround(std::log10(scale.high)));
  for (int power = from; power <= to; ++power) {
    const double value = std::pow(10.0, power);
    ticks.push_back({value, power <= 6 ? fmt::format("{:.10g}", value) : fmt::format("10^{}", power)});
  }
  return ticks;
}

void Panel::draw(Canvas& canvas, const std::vector<Tick>& x_ticks, const std::vector<Tick>& y_ticks,
                 bool x_grid) const {
  constexpr double kTickText = 10;
  constexpr double kLabelText = 11;
  for (const Tick& tick : y_ticks) {
    const Point place = at(x.low, tick.value);
    const Point grid[] = {place, {corner.x + width, place.y}};
    canvas.line(grid, kFaint);
    canvas.text({corner.x - 6, place.y + 3.5}, tick.label, kTickText, kInk, Canvas::Align::right);
  }
  for (const Tick& tick : x_ticks) {
    const Point place = at(tick.value, y.low);
    const Point grid[] = {place, {place.x, corner.y}};
    if (x_grid) canvas.line(grid, kFaint);
    canvas.text({place.x, corner.y + height + 15}, tick.label, kTickText, kInk, Canvas::Align::center);
  }
  canvas.outline(corner, width, height, kInk);
  canvas.text({corner.x, corner.y - 10}, title, 13, kInk, Canvas::Align::left, true);
  canvas.text({corner.x + width / 2, corner.y + height + 34}, x_label, kLabelText, kInk, Canvas::Align::center);
  canvas.text_upwards({corner.x - 50, corner.y + height / 2}, y_label, kLabelText, kInk);
}

void Panel::draw_remark(Canvas& canvas, const std::string& text) const {
  canvas.text({corner.x + width / 2, corner.y + height / 2}, text, 12, kInk, Canvas::Align::center);
}

}  // namespace pollux::tool::bench
