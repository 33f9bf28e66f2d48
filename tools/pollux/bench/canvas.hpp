// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cairo.h>

#include <memory>
#include <span>
#include <string>

#include "pollux/base/error.hpp"

namespace pollux::tool::bench {

struct Point {
  double x = 0;
  double y = 0;
};

struct Color {
  double red = 0;
  double green = 0;
  double blue = 0;
};

/// A drawing that becomes an SVG or PNG file. Lengths are in points, from the top left corner.
class Canvas {
 public:
  enum class Align { left, center, right };

  /// SVG if the name ends in .svg, else PNG, with twice as many pixels as points. Error io_error: the file cannot be
  /// written.
  [[nodiscard]] static Result<Canvas> create(const std::string& file, double width, double height);

  void line(std::span<const Point> points, const Color& color, double width = 1, bool dashed = false);
  void fill(Point corner, double width, double height, const Color& color);
  void outline(Point corner, double width, double height, const Color& color);
  void dot(Point center, const Color& color, double radius = 2.5);
  /// `at` is on the base line.
  void text(Point at, const std::string& text, double size, const Color& color, Align align = Align::left,
            bool bold = false);
  /// Upwards; centred on `at`.
  void text_upwards(Point at, const std::string& text, double size, const Color& color);

  /// Writes the file. Error io_error.
  [[nodiscard]] Result<void> finish();

 private:
  struct Destroy {
    void operator()(cairo_t* context) const noexcept { cairo_destroy(context); }
    void operator()(cairo_surface_t* surface) const noexcept { cairo_surface_destroy(surface); }
  };

  Canvas(std::string file, bool svg, cairo_surface_t* surface);
  void use(const Color& color);
  [[nodiscard]] tl::unexpected<Error> cannot_write(cairo_status_t status) const;

  std::string file_;
  bool svg_;
  std::unique_ptr<cairo_surface_t, Destroy> surface_;
  std::unique_ptr<cairo_t, Destroy> context_;
};

}  // namespace pollux::tool::bench
