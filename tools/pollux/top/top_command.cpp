// SPDX-License-Identifier: BSD-3-Clause
// `pollux top`: the ports and queues of running programs, live.
#include <unistd.h>
#include "common/cli.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <climits>
#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <utility>

#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "report.hpp"
#include "top/screen.hpp"

namespace pollux::tool {
namespace {

using namespace std::chrono_literals;
using Instant = std::chrono::steady_clock::time_point;

constexpr double kShortestInterval = 0.1;
constexpr double kLongestInterval = 3600;
/// The first rates come soon, as top's do.
constexpr auto kFirstInterval = 250ms;
/// Ctrl-C is noticed at least this often.
constexpr auto kLongestWait = 200ms;

struct TopOptions {
  double interval = 1;
  bool batch = false;
  std::uint64_t updates = 0;  // 0: until the user quits
  bool no_measuring = false;
};

/// Turns the samples of one update after the other into rates.
class Live {
 public:
  const std::vector<top::PortRates>& update(bool measures) {
    std::map<std::pair<std::int64_t, std::string>, top::PortSample> now;
    rates_.clear();
    for (top::PortSample& sample : sampler_.sample(measures)) {
      const auto key = std::pair(sample.port.pid, sample.port.name);
      const auto before = last_.find(key);
      rates_.push_back(rates_of(before == last_.end() ? nullptr : &before->second, sample));
      now.emplace(key, std::move(sample));
    }
    last_ = std::move(now);
    return rates_;
  }
  [[nodiscard]] const std::vector<top::PortRates>& rates() const { return rates_; }

 private:
  top::Sampler sampler_;
  std::map<std::pair<std::int64_t, std::string>, top::PortSample> last_;
  std::vector<top::PortRates> rates_;
};

std::chrono::milliseconds in_milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

/// Sleeps, but ends soon after Ctrl-C.
void pause_for(const Environment& environment, std::chrono::milliseconds span, const tools::StopSignals& stop) {
  const Instant end = std::chrono::steady_clock::now() + span;
  while (!stop.raised() && std::chrono::steady_clock::now() < end)
    environment.clock.sleep_for(std::min<Duration>(kLongestWait, end - std::chrono::steady_clock::now()));
}

/// Prints pages one after the other, for files and pipes.
int run_batch(const Environment& environment, const TopOptions& options, top::View view) {
  const tools::StopSignals stop;
  view.has_keys = false;
  Live live;
  live.update(view.measures);
  const std::uint64_t updates = options.updates == 0 ? UINT64_MAX : options.updates;
  for (std::uint64_t done = 0; done < updates && !stop.raised() && environment.out.good(); ++done) {
    pause_for(environment, in_milliseconds(view.interval), stop);
    for (const top::Line& line : page_of(live.update(view.measures), view, {.rows = INT_MAX, .columns = INT_MAX}))
      environment.out << line.text << '\n';
    environment.out << '\n' << std::flush;
  }
  return kSuccess;
}

void ask_interval(top::Screen& screen, top::View& view) {
  const std::string answer = screen.ask("seconds between two updates: ");
  double seconds = 0;
  const char* const end = answer.data() + answer.size();
  const auto [rest, error] = std::from_chars(answer.data(), end, seconds);
  if (error != std::errc() || rest != end || !(seconds >= kShortestInterval && seconds <= kLongestInterval)) return;
  view.interval = seconds;
}

/// false: the user quits.
bool obey(top::Key key, top::Screen& screen, top::View& view, std::size_t ports) {
  switch (key) {
    case top::Key::quit:
      if (!std::exchange(view.shows_help, false)) return false;
      break;
    case top::Key::closed: return false;
    case top::Key::help: view.shows_help = !view.shows_help; break;
    case top::Key::up: view.selected -= view.selected == 0 ? 0 : 1; break;
    case top::Key::down: view.selected += view.selected + 1 < ports ? 1 : 0; break;
    case top::Key::queues: view.shows_queues = !view.shows_queues; break;
    case top::Key::idle: view.shows_idle = !view.shows_idle; break;
    case top::Key::measure: view.measures = !view.measures; break;
    case top::Key::interval: ask_interval(screen, view); break;
    case top::Key::none:
    case top::Key::update:
    case top::Key::resized: break;
  }
  return true;
}

/// Handles keys until the next update is due. false: the user quits.
bool wait_for_update(top::Screen& screen, top::View& view, const Live& live, Instant due,
                     const tools::StopSignals& stop) {
  for (;;) {
    if (stop.raised()) return false;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - std::chrono::steady_clock::now());
    if (left <= 0ms) return true;
    const top::Key key = screen.wait_key(std::min<std::chrono::milliseconds>(left, kLongestWait));
    if (key == top::Key::none) continue;
    const std::size_t ports = shown_ports(live.rates(), view).size();
    view.selected = std::min(view.selected, ports == 0 ? 0 : ports - 1);
    if (!obey(key, screen, view, ports)) return false;
    if (key == top::Key::update || key == top::Key::interval) return true;
    screen.show(page_of(live.rates(), view, screen.size()));
  }
}

int run_live(const Environment& environment, const TopOptions& options, top::View view) {
  const tools::StopSignals stop;
  auto screen = top::Screen::open(environment.colours);
  if (!screen) return report(environment, screen.error());
  Live live;
  for (std::uint64_t done = 0; options.updates == 0 || done <= options.updates; ++done) {
    live.update(view.measures);
    screen->show(page_of(live.rates(), view, screen->size()));
    const auto span = done == 0 ? std::min<std::chrono::milliseconds>(kFirstInterval, in_milliseconds(view.interval))
                                : in_milliseconds(view.interval);
    if (!wait_for_update(*screen, view, live, std::chrono::steady_clock::now() + span, stop)) break;
  }
  return kSuccess;
}

int run_top(const Environment& environment, const TopOptions& options) {
  const top::View view{.interval = options.interval, .measures = !options.no_measuring};
  if (options.batch) return run_batch(environment, options, view);
  if (::isatty(STDOUT_FILENO) == 0 || ::isatty(STDIN_FILENO) == 0) {
    return report(environment, {ErrorCode::not_supported, "standard input and output are not a terminal",
                                "print pages instead, with --batch"});
  }
  return run_live(environment, options, view);
}

}  // namespace

void add_top(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<TopOptions>();
  cli::App* command = app.add_subcommand("top", "Watch the ports and queues of running programs");
  command->add_option("-d,--interval", options->interval, "Seconds between two updates")
      ->check(cli::range(kShortestInterval, kLongestInterval))
      ->capture_default_str();
  command->add_option("-n,--updates", options->updates, "End after so many updates")->check(cli::count());
  command->add_flag("-b,--batch", options->batch, "Print pages, for a file or a pipe");
  command->add_flag("--no-measuring", options->no_measuring,
                    "Do not let programs measure bursts, which costs them some cycles a burst");
  command->footer(
      "Examples:\n"
      "  pollux top\n"
      "  pollux top --batch --updates 1\n"
      "Keys are as in top: h lists them, q quits. Programs need telemetry: `pollux ports` lists those that have it.");
  command->callback([options, &environment, &exit_code] { exit_code = run_top(environment, *options); });
}

}  // namespace pollux::tool
