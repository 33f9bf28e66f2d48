// SPDX-License-Identifier: BSD-3-Clause
#include "bench/canvas.hpp"

#include <cairo-svg.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>
#include <utility>

namespace pollux::tool::bench {
namespace {

constexpr double kPixelsPerPoint = 2;
constexpr const char* kFont = "DejaVu Sans";

void select_font(cairo_t* context, double size, bool bold) {
  cairo_select_font_face(context, kFont, CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context, size);
}

}  // namespace

Canvas::Canvas(std::string file, bool svg, cairo_surface_t* surface)
    : file_(std::move(file)), svg_(svg), surface_(surface), context_(cairo_create(surface)) {}

tl::unexpected<Error> Canvas::cannot_write(cairo_status_t status) const {
  return fail(ErrorCode::io_error, fmt::format("{}: {}", file_, cairo_status_to_string(status)),
              "use a file in a writable directory with free space");
}

Result<Canvas> Canvas::create(const std::string& file, double width, double height) {
  const bool svg = file.ends_with(".svg");
  cairo_surface_t* const surface =
      svg ? cairo_svg_surface_create(file.c_str(), width, height)
          : cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(width * kPixelsPerPoint),
                                       static_cast<int>(height * kPixelsPerPoint));
  Canvas canvas(file, svg, surface);
  if (const auto status = cairo_status(canvas.context_.get()); status != CAIRO_STATUS_SUCCESS) {
    return canvas.cannot_write(status);
  }
  if (!svg) cairo_scale(canvas.context_.get(), kPixelsPerPoint, kPixelsPerPoint);
  canvas.fill({0, 0}, width, height, {1, 1, 1});
  return canvas;
}

Result<void> Canvas::finish() {
  cairo_status_t status = cairo_status(context_.get());
  context_.reset();
  if (status == CAIRO_STATUS_SUCCESS && !svg_) status = cairo_surface_write_to_png(surface_.get(), file_.c_str());
  cairo_surface_finish(surface_.get());
  if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_status(surface_.get());
  if (status != CAIRO_STATUS_SUCCESS) return cannot_write(status);
  return {};
}

void Canvas::use(const Color& color) { cairo_set_source_rgb(context_.get(), color.red, color.green, color.blue); }

void Canvas::line(std::span<const Point> points, const Color& color, double width, bool dashed) {
  constexpr double kDash = 4;
  use(color);
  cairo_set_line_width(context_.get(), width);
  cairo_set_dash(context_.get(), &kDash, dashed ? 1 : 0, 0);
  for (const Point& point : points) cairo_line_to(context_.get(), point.x, point.y);
  cairo_stroke(context_.get());
}

void Canvas::fill(Point corner, double width, double height, const Color& color) {
  use(color);
  cairo_rectangle(context_.get(), corner.x, corner.y, width, height);
  cairo_fill(context_.get());
}

void Canvas::outline(Point corner, double width, double height, const Color& color) {
  const Point points[] = {corner,
                          {corner.x + width, corner.y},
                          {corner.x + width, corner.y + height},
                          {corner.x, corner.y + height},
                          corner};
  line(points, color);
}

void Canvas::dot(Point center, const Color& color, double radius) {
  use(color);
  cairo_arc(context_.get(), center.x, center.y, radius, 0, 2 * std::numbers::pi);
  cairo_fill(context_.get());
}

void Canvas::text(Point at, const std::string& text, double size, const Color& color, Align align, bool bold) {
  use(color);
  select_font(context_.get(), size, bold);
  cairo_text_extents_t extents;
  cairo_text_extents(context_.get(), text.c_str(), &extents);
  if (align == Align::center) at.x -= extents.x_advance / 2;
  if (align == Align::right) at.x -= extents.x_advance;
  cairo_move_to(context_.get(), at.x, at.y);
  cairo_show_text(context_.get(), text.c_str());
  cairo_new_path(context_.get());
}

void Canvas::text_upwards(Point at, const std::string& text, double size, const Color& color) {
  cairo_save(context_.get());
  cairo_translate(context_.get(), at.x, at.y);
  cairo_rotate(context_.get(), -std::numbers::pi / 2);
  this->text({0, 0}, text, size, color, Align::center);
  cairo_restore(context_.get());
}

}  // namespace pollux::tool::bench
