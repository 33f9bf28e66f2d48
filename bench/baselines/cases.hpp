// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/if_xdp.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <string_view>

#include "rates.hpp"
#include "work.hpp"

/// The command line of the applications, and their output: one line of JSON per case.
namespace baselines {

struct Options {
  std::vector<unsigned> bursts;
  std::uint64_t frames = 100'000;
  double seconds = 0;               ///< if not 0: each case runs for this time, and counts frames
  std::string burst_mode = "best";  ///< only for Pollux
  std::vector<std::string> cases;
  std::vector<std::string> ports;
};

inline constexpr const char* kUsage =
    "usage: %s [--burst 1|32]... [--frames N | --seconds N] [--burst-mode NAME] [--case "
    "lockstep|parts|forward|forward_checksums|fused|txonly|rxonly|empty_poll]... "
    "PORT "
    "[PORT]\n";

template <class Number>
Number number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) give_up("not a number above zero");
  return value;
}

inline Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (!word.starts_with("--")) {
      options.ports.emplace_back(word);
      continue;
    }
    if (i + 1 == argc) give_up("an option lacks its value");
    const char* const value = argv[++i];
    if (word == "--burst") {
      options.bursts.push_back(number<unsigned>(value));
    } else if (word == "--frames") {
      options.frames = number<std::uint64_t>(value);
    } else if (word == "--seconds") {
      options.seconds = number<std::uint32_t>(value);
    } else if (word == "--burst-mode") {
      options.burst_mode = value;
    } else if (word == "--case") {
      options.cases.emplace_back(value);
    } else {
      give_up("unknown option");
    }
  }
  const bool known =
      std::all_of(options.bursts.begin(), options.bursts.end(), [](unsigned b) { return b == 1 || b == 32; });
  if (options.ports.empty() || options.ports.size() > 2 || options.bursts.empty() || !known) {
    std::fprintf(stderr, kUsage, argv[0]);
    std::exit(2);
  }
  return options;
}

inline bool requests_checksums(const Options& options) {
  return std::find(options.cases.begin(), options.cases.end(), "forward_checksums") != options.cases.end();
}

/// A line of figures: ticks of the time stamp counter per frame, or per poll for empty_poll.
class Line {
 public:
  Line(const std::string& name, unsigned burst, std::uint64_t count) : count_(static_cast<double>(count)) {
    std::printf("{\"case\":\"%s\",\"burst\":%u,\"count\":%llu", name.c_str(), burst,
                static_cast<unsigned long long>(count));
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    std::printf("}\n");
    std::fflush(stdout);
  }
  void ticks(const char* name, std::uint64_t ticks) const { figure(name, static_cast<double>(ticks) / count_); }
  void figure(const char* name, double value) const { std::printf(",\"%s\":%.6f", name, value); }

 private:
  double count_;
};

/// How many of this process's AF_XDP sockets work without copies, as the kernel says.
inline unsigned sockets_without_copies() {
  unsigned found = 0;
  for (int descriptor = 0; descriptor < 256; ++descriptor) {
    xdp_options options{};
    socklen_t size = sizeof options;
    const int status = ::getsockopt(descriptor, SOL_XDP, XDP_OPTIONS, &options, &size);
    if (status == 0 && (options.flags & XDP_OPTIONS_ZEROCOPY) != 0) ++found;
  }
  return found;
}

template <class Side, unsigned B>
void print_parts(Side& side, std::uint64_t rounds) {
  Parts parts;
  const Line line("parts", B, rounds * B);
  lockstep<true, Side, B>(side, rounds, parts);
  const std::uint64_t own = rounds * stamp_cost();
  line.ticks("alloc", parts.alloc - own);
  line.ticks("fill", parts.fill - own);
  line.ticks("tx", parts.tx - own);
  line.ticks("rx", parts.rx - own);
  line.ticks("free", parts.free - own);
}

template <class Side, unsigned B>
void run_for(Side& side, const Options& options, const std::string& name) {
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t frames = 0;
  if (name == "forward") {
    frames = forward_for<Side, B>(side, options.seconds);
  } else if (name == "txonly") {
    frames = txonly_for<Side, B>(side, options.seconds);
  } else if (name == "rxonly") {
    frames = rxonly_for<Side, B>(side, options.seconds);
  } else {
    give_up("no such case");
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  Line(name, B, frames).figure("mpps", static_cast<double>(frames) / took.count() / 1e6);
}

template <class Side, unsigned B>
void run_case(Side& side, const Options& options, const std::string& name) {
  const std::uint64_t rounds = options.frames / B;
  if (name == "parts") return print_parts<Side, B>(side, rounds);
  if (options.seconds > 0) return run_for<Side, B>(side, options, name);
  Parts unused;
  const std::uint64_t count = name == "empty_poll" ? rounds : rounds * B;
  const Line line(name, B, count);
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t took = 0;
  if (name == "lockstep") {
    took = lockstep<false, Side, B>(side, rounds, unused);
  } else if (name == "forward") {
    took = forward<Side, B>(side, rounds);
  } else if (name == "forward_checksums") {
    took = forward_checksums<Side, B>(side, rounds);
  } else if (name == "txonly") {
    took = txonly<Side, B>(side, rounds);
  } else if (name == "empty_poll") {
    took = empty_poll<Side, B>(side, rounds);
  } else {
    give_up("no such case");
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
  line.ticks("ticks", took);
  line.figure("mpps", static_cast<double>(count) / seconds.count() / 1e6);
  line.figure("without_copies", sockets_without_copies());
}

/// Runs the cases in order, after some rounds that warm up the queues, the caches and the emulator's translations.
template <class Side, unsigned B>
void run_all(Side& side, const Options& options) {
  Parts unused;
  if (options.ports.size() == 2) lockstep<false, Side, B>(side, 4096 / B, unused);
  for (const std::string& name : options.cases) run_case<Side, B>(side, options, name);
}

template <class Side>
void run(Side& side, const Options& options) {
  for (const unsigned burst : options.bursts) {
    if (burst == 1) {
      run_all<Side, 1>(side, options);
    } else {
      run_all<Side, 32>(side, options);
    }
  }
}

}  // namespace baselines
