// SPDX-License-Identifier: BSD-3-Clause
#include "top/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <string_view>

#include "base/printable.hpp"

namespace pollux::tool::top {
namespace {

constexpr int kFewestRows = 4;
constexpr std::size_t kMostPortRows = 8;  // the details need room, too
constexpr std::size_t kHalfPage = 39;
constexpr std::size_t kBarColumns = 20;

std::string percent(Figure share) { return share ? fmt::format("{:.0f}%", *share * 100) : "-"; }

std::string cycles(Figure value) { return value ? fmt::format("{:.0f}", *value) : "-"; }

std::string link_text(const PortSample& port) {
  if (!port.link_up) return "down";
  return port.link_speed >= 1000 ? fmt::format("{:g}G", static_cast<double>(port.link_speed) / 1000)
                                 : fmt::format("{}M", port.link_speed);
}

Line port_line(const PortRates& rates, bool selected) {
  const PortSample& now = rates.now;
  const auto row = [&](std::string_view rest) {
    return fmt::format("{:<8.8} {:<10.10} {}", now.port.name, now.port.program, rest);
  };
  if (!now.answers) {
    const char* const late = "does not answer: it is stopped, or its loop hangs";
    return {row(now.failure.empty() ? late : now.failure), selected ? Style::selected : Style::alert};
  }
  const Figure pool = now.pool_used < 0 ? Figure() : Figure(now.pool_used);
  const std::string text = row(
      fmt::format("{:>4} {:>6} {:>6} {:>6} {:>6} {:>6} {:>5} {:>7} {:>5}", link_text(now), short_text(rates.rx_packets),
                  short_text(rates.rx_bits), short_text(rates.tx_packets), short_text(rates.tx_bits),
                  short_text(rates.drops), percent(rates.empty_polls), cycles(rates.cycles_per_frame), percent(pool)));
  const bool drops = rates.drops.value_or(0) > 0;
  if (selected) return {text, Style::selected};
  return {text, drops || !now.link_up ? Style::alert : Style::plain};
}

std::string port_heading() {
  return fmt::format("{:<8} {:<10} {:>4} {:>6} {:>6} {:>6} {:>6} {:>6} {:>5} {:>7} {:>5}", "PORT", "PROGRAM", "LINK",
                     "RX p/s", "RX b/s", "TX p/s", "TX b/s", "DROP/s", "EMPTY", "CYC/FRM", "POOL");
}

std::string title_of(const std::vector<PortRates>& ports, const View& view) {
  std::set<std::int64_t> programs;
  for (const PortRates& port : ports) programs.insert(port.now.port.pid);
  const auto several = [](std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
  };
  return fmt::format("pollux top: {} of {}, every {:g} s{}{}", several(ports.size(), "port"),
                     several(programs.size(), "program"), view.interval, view.measures ? "" : ", bursts not measured",
                     view.has_keys ? "   h help  q quit" : "");
}

void add_queues(std::vector<Line>& lines, const PortRates& port) {
  lines.push_back({fmt::format("{:<6} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8}", "QUEUE", "FRAMES/s", "BITS/s", "DROP/s",
                               "EMPTY", "BURST", "CYC/FRM"),
                   Style::heading});
  for (const QueueRates& queue : port.queues) {
    lines.push_back(
        {fmt::format("{:<6} {:>8} {:>8} {:>8} {:>7} {:>7} {:>8}", queue.name, short_text(queue.packets),
                     short_text(queue.bits), short_text(queue.drops), percent(queue.empty_polls),
                     queue.burst ? fmt::format("{:.1f}", *queue.burst) : "-", cycles(queue.cycles_per_frame)),
         queue.drops.value_or(0) > 0 ? Style::alert : Style::plain});
  }
}

std::vector<std::string> drop_lines(const PortRates& port) {
  std::vector<std::string> lines{fmt::format("{:<22} {:>7} {:>8}", "DROPS BY REASON", "DROP/s", "TOTAL")};
  const auto add = [&](const std::vector<DropRate>& reasons) {
    for (const DropRate& drop : reasons)
      lines.push_back(fmt::format("{:<22.22} {:>7} {:>8}", drop.reason, short_text(drop.rate),
                                  short_text(static_cast<double>(drop.total))));
  };
  add(port.reasons);
  if (port.reasons.empty()) lines.emplace_back("none since the port was opened");
  if (!port.program_reasons.empty()) lines.emplace_back("of the program itself:");
  add(port.program_reasons);
  return lines;
}

std::string bucket_name(std::size_t bucket) {
  if (bucket <= 1) return "1";
  const std::size_t first = std::size_t{1} << (bucket - 1);
  return fmt::format("{}-{}", first, 2 * first - 1);
}

std::vector<std::string> burst_lines(const PortRates& port) {
  std::vector<std::string> lines{"RECEIVE BURSTS BY FRAMES"};
  for (std::size_t i = 1; i < port.burst_share.size(); ++i) {
    const double share = port.burst_share[i];
    const auto bar = static_cast<std::size_t>(std::lround(share * kBarColumns));
    lines.push_back(fmt::format("{:>7} {:>4.0f}% {}", bucket_name(i), share * 100, std::string(bar, '#')));
  }
  if (port.burst_share.empty()) lines.emplace_back(port.empty_polls ? "none since the last update" : "not measured");
  return lines;
}

/// Drops on the left, bursts on the right.
void add_drops_and_bursts(std::vector<Line>& lines, const PortRates& port) {
  const auto left = drop_lines(port);
  const auto right = burst_lines(port);
  for (std::size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    lines.push_back(
        {fmt::format("{:<{}} {}", i < left.size() ? left[i] : "", kHalfPage, i < right.size() ? right[i] : ""),
         i == 0 ? Style::heading : Style::plain});
  }
}

void add_details(std::vector<Line>& lines, const PortRates& port, const View& view) {
  const RunningPort& who = port.now.port;
  lines.push_back({""});
  lines.push_back(
      {fmt::format("{} ({}) of {}, process {}: {}, {}", who.name, who.uri, who.program, who.pid, who.driver, who.state),
       Style::title});
  if (!port.now.answers) return;
  if (view.shows_queues) add_queues(lines, port);
  add_drops_and_bursts(lines, port);
}

std::vector<Line> help_page() {
  constexpr std::array kHelp{
      "up, down   choose the port whose queues, drops and bursts are shown",
      "1          show the queues of that port, or not",
      "i          show ports without frames, or not",
      "m          measure bursts, or not: it costs the program some cycles a burst",
      "d or s     ask for the seconds between two updates",
      "space      update now",
      "h or ?     this page",
      "q          quit",
      "",
      "p/s, b/s frames and bits a second",
      "EMPTY    share of the polls that found no frame",
      "BURST    frames of a burst, on average",
      "CYC/FRM  cycles from the end of a burst to the end of the next poll, or until it sleeps, a frame",
      "POOL     share of the mbufs in use in the pool that feeds the port",
      "-        not known, or not measured",
  };
  std::vector<Line> lines{{"pollux top: keys", Style::title}};
  for (const char* const line : kHelp) lines.push_back({line});
  return lines;
}

void fit(std::vector<Line>& lines, Size size) {
  const auto rows = static_cast<std::size_t>(std::max(size.rows, 1));
  const auto columns = static_cast<std::size_t>(std::max(size.columns, 1));
  if (lines.size() > rows) lines.resize(rows);
  for (Line& line : lines) {
    std::size_t bytes = 0;
    for (std::size_t shown = 0; shown < columns && bytes < line.text.size(); ++shown)
      bytes += first_character(std::string_view(line.text).substr(bytes)).bytes;
    line.text.resize(std::min(bytes, line.text.size()));
  }
}

}  // namespace

std::string short_text(Figure value) {
  if (!value) return "-";
  double number = *value;
  const char* unit = "";
  for (const char* const next : {"k", "M", "G", "T"}) {
    if (number < 999.5) break;
    number /= 1000;
    unit = next;
  }
  if (*unit == '\0') return fmt::format("{:.0f}", number);
  return fmt::format("{:.{}f}{}", number, number < 9.9995 ? 3 : number < 99.995 ? 2 : 1, unit);
}

std::vector<const PortRates*> shown_ports(const std::vector<PortRates>& ports, const View& view) {
  std::vector<const PortRates*> shown;
  for (const PortRates& port : ports) {
    const bool idle = port.now.answers && port.rx_packets.value_or(0) == 0 && port.tx_packets.value_or(0) == 0;
    if (view.shows_idle || !idle) shown.push_back(&port);
  }
  return shown;
}

std::vector<Line> page_of(const std::vector<PortRates>& ports, const View& view, Size size) {
  std::vector<Line> lines;
  if (view.shows_help) {
    lines = help_page();
  } else {
    const auto shown = shown_ports(ports, view);
    lines.push_back({title_of(ports, view), Style::title});
    lines.push_back({port_heading(), Style::heading});
    if (shown.empty())
      lines.push_back(
          {ports.empty() ? "no running program has telemetry: start one with --telemetry" : "no port has frames"});
    const std::size_t selected = shown.empty() ? 0 : std::min(view.selected, shown.size() - 1);
    const std::size_t first = selected < kMostPortRows ? 0 : selected - kMostPortRows + 1;
    for (std::size_t i = first; i < std::min(shown.size(), first + kMostPortRows); ++i)
      lines.push_back(port_line(*shown[i], i == selected));
    if (!shown.empty() && size.rows > kFewestRows) add_details(lines, *shown[selected], view);
  }
  fit(lines, size);
  return lines;
}

}  // namespace pollux::tool::top
