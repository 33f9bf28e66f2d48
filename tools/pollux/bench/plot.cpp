// SPDX-License-Identifier: BSD-3-Clause
#include "bench/plot.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "bench/axes.hpp"

namespace pollux::tool::bench {
namespace {

constexpr double kWidth = 1120;
constexpr double kHeight = 880;

/// Okabe and Ito, "Color Universal Design", 2008: distinguishable with any colour vision. Repeated after seven sizes,
/// with dashed lines.
constexpr std::array kColors{Color{0.00, 0.45, 0.70}, Color{0.84, 0.37, 0.00}, Color{0.00, 0.62, 0.45},
                             Color{0.80, 0.47, 0.65}, Color{0.90, 0.62, 0.00}, Color{0.34, 0.71, 0.91},
                             Color{0.10, 0.10, 0.10}};

Color color_of(std::size_t index) { return kColors[index % kColors.size()]; }
bool dashed(std::size_t index) { return index / kColors.size() % 2 != 0; }

/// The four places of the drawing, left to right and top to bottom.
Panel panel_at(unsigned place) {
  Panel panel;
  panel.corner = {80 + (place % 2) * 550.0, 110 + (place < 2 ? 0.0 : 395.0)};
  panel.width = 440;
  panel.height = 300;
  return panel;
}

std::vector<Tick> percent_ticks() {
  std::vector<Tick> ticks;
  for (int percent = 0; percent <= 100; percent += 20) {
    ticks.push_back({static_cast<double>(percent), fmt::format("{}", percent)});
  }
  return ticks;
}

std::vector<Tick> size_ticks(const Report& report) {
  std::vector<Tick> ticks;
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    ticks.push_back({static_cast<double>(i), fmt::format("{}", report.table[i].size)});
  }
  return ticks;
}

/// The scale of one place for each size.
Scale size_scale(const Report& report) { return {-0.5, static_cast<double>(report.table.size()) - 0.5}; }

std::string short_count(std::uint64_t count) {
  if (count >= 1'000'000) return fmt::format("{:.3g} M", static_cast<double>(count) / 1e6);
  if (count >= 10'000) return fmt::format("{:.3g} k", static_cast<double>(count) / 1e3);
  return fmt::format("{}", count);
}

/// A bar with a label above it.
void draw_bar(Canvas& canvas, const Panel& panel, std::size_t index, double value, const std::string& label) {
  const Point top = panel.at(static_cast<double>(index), value);
  const double width = panel.width / (panel.x.high - panel.x.low) * 0.6;
  canvas.fill({top.x - width / 2, top.y}, width, panel.corner.y + panel.height - top.y, color_of(index));
  canvas.text({top.x, top.y - 4}, label, 9, kInk, Canvas::Align::center);
}

void draw_throughput(Canvas& canvas, const Report& report) {
  Panel panel = panel_at(0);
  panel.title = "Throughput without loss";
  panel.x_label = "frame size, bytes";
  panel.y_label = "load, % of the line rate";
  panel.x = size_scale(report);
  panel.y = {0, 110};
  panel.draw(canvas, size_ticks(report), percent_ticks(), false);
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    const auto& found = report.table[i].throughput;
    if (!found) return panel.draw_remark(canvas, "not measured");
    const std::uint64_t frames = frames_per_second(report.line_rate, report.table[i].size, found->load);
    draw_bar(canvas, panel, i, found->load / kMillionthsPerPercent, short_count(frames) + "/s");
  }
}

void draw_series(Canvas& canvas, const std::vector<Point>& points, std::size_t index) {
  canvas.line(points, color_of(index), 1.6, dashed(index));
  for (const Point& point : points) canvas.dot(point, color_of(index));
}

void draw_frame_loss(Canvas& canvas, const Report& report) {
  double most = 0;
  for (const SizeResult& result : report.table) {
    for (const LoadTrial& trial : result.frame_loss) {
      most = std::max(most, loss_percent(trial.counts));
    }
  }
  Panel panel = panel_at(1);
  panel.title = "Frame loss rate";
  panel.x_label = "load, % of the line rate";
  panel.y_label = "frames lost, %";
  panel.x = {0, 105};
  // The next of 1, 2, 5, 10 ... above, so that small rates can be seen.
  double top = 0.01;
  for (const double step : {2.0, 2.5, 2.0, 2.0, 2.5, 2.0, 2.0, 2.5, 2.0, 2.0, 2.5, 2.0}) {
    if (top < most * 1.05) top = std::min(top * step, 100.0);
  }
  panel.y = {0, top};
  std::vector<Tick> ticks;
  for (int i = 0; i <= 5; ++i) ticks.push_back({top * i / 5, fmt::format("{:.4g}", top * i / 5)});
  panel.draw(canvas, percent_ticks(), ticks, true);
  if (!report.options.frame_loss) return panel.draw_remark(canvas, "not measured");
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    std::vector<Point> points;
    for (const LoadTrial& trial : report.table[i].frame_loss) {
      points.push_back(panel.at(trial.load / kMillionthsPerPercent, loss_percent(trial.counts)));
    }
    draw_series(canvas, points, i);
  }
}

void draw_latency(Canvas& canvas, const Report& report) {
  Panel panel = panel_at(2);
  panel.title = "Latency at the throughput";
  panel.x_label = "percentile";
  panel.y_label = "from tx_burst to rx_burst, microseconds";
  double low = 1e9;
  double high = 0;
  for (const SizeResult& result : report.table) {
    if (!result.latency || result.latency->count() == 0) continue;
    low = std::min(low, std::max(1e-3, static_cast<double>(result.latency->min()) / 1e3));
    high = std::max(high, static_cast<double>(result.latency->max()) / 1e3);
  }
  const bool measured = high > 0;
  panel.x = {-0.3, static_cast<double>(std::size(kPercentiles)) + 1.3};
  panel.y = measured ? decades_around(low, high) : Scale{1, 10, true};
  std::vector<Tick> ticks{{0, "min"}};
  for (const Percentile& one : kPercentiles) ticks.push_back({static_cast<double>(ticks.size()), one.name});
  ticks.push_back({static_cast<double>(ticks.size()), "max"});
  panel.draw(canvas, ticks, decade_ticks(panel.y), true);
  if (!measured) return panel.draw_remark(canvas, "not measured");
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    if (!report.table[i].latency) continue;
    const LatencyHistogram& latency = *report.table[i].latency;
    std::vector<Point> points;
    const auto add = [&](std::uint64_t nanoseconds) {
      points.push_back(panel.at(static_cast<double>(points.size()), static_cast<double>(nanoseconds) / 1e3));
    };
    add(latency.min());
    for (const Percentile& one : kPercentiles) add(latency.percentile(one.share));
    add(latency.max());
    draw_series(canvas, points, i);
  }
}

void draw_bursts(Canvas& canvas, const Report& report) {
  Panel panel = panel_at(3);
  panel.title = "Back-to-back frames without loss";
  panel.x_label = "frame size, bytes";
  panel.y_label = "frames";
  panel.x = size_scale(report);
  double most = 1;
  for (const SizeResult& result : report.table) most = std::max(most, static_cast<double>(mean_burst(result)));
  panel.y = decades_around(1, most * 1.3);
  panel.draw(canvas, size_ticks(report), decade_ticks(panel.y), false);
  if (!report.options.back_to_back) return panel.draw_remark(canvas, "not measured");
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    const SizeResult& result = report.table[i];
    const bool limit = !result.bursts.empty() && mean_burst(result) == result.burst_limit;
    draw_bar(canvas, panel, i, static_cast<double>(mean_burst(result)),
             (limit ? "≥ " : "") + short_count(mean_burst(result)));
  }
}

void draw_head(Canvas& canvas, const Report& report) {
  canvas.text({30, 34}, fmt::format("RFC 2544: {} → {} → {}", report.sending, report.device, report.receiving), 17,
              kInk, Canvas::Align::left, true);
  canvas.text({30, 54},
              fmt::format("line rate {:g} Mbit/s, {} time, trials of {:g} s",
                          static_cast<double>(report.line_rate) / 1e6, report.virtual_time ? "virtual" : "real",
                          std::chrono::duration<double>(report.options.duration).count()),
              12, kInk);
  double x = 30;
  canvas.text({x, 75}, "frame size, bytes:", 11, kInk);
  x += 115;
  for (std::size_t i = 0; i < report.table.size(); ++i) {
    const Point key[] = {{x, 71}, {x + 22, 71}};
    canvas.line(key, color_of(i), 3, dashed(i));
    canvas.text({x + 27, 75}, fmt::format("{}", report.table[i].size), 11, kInk);
    x += 72;
  }
}

}  // namespace

Result<void> check_plot_file(const std::string& file) {
  if (!file.ends_with(".svg") && !file.ends_with(".png")) {
    return fail(ErrorCode::invalid_argument, fmt::format("--plot: the format of '{}' is unknown", file),
                "use a name that ends in .svg or .png");
  }
  const std::filesystem::path parent = std::filesystem::path(file).parent_path();
  const std::string directory = parent.empty() ? "." : parent.string();
  if (::access(directory.c_str(), W_OK) == 0) return {};
  return fail_errno(errno == ENOENT ? ErrorCode::not_found : ErrorCode::permission_denied,
                    fmt::format("--plot: cannot write to the directory {}", directory), errno,
                    "create it, or use another one");
}

Result<void> write_plot(const Report& report, const std::string& file) {
  if (auto usable = check_plot_file(file); !usable) return usable;
  auto canvas = Canvas::create(file, kWidth, kHeight);
  if (!canvas) return pass_on(std::move(canvas));
  draw_head(*canvas, report);
  draw_throughput(*canvas, report);
  draw_frame_loss(*canvas, report);
  draw_latency(*canvas, report);
  draw_bursts(*canvas, report);
  return canvas->finish();
}

}  // namespace pollux::tool::bench
