// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fstream>

#include "cases.hpp"

namespace baselines {

/// One line into one of pktgen's files. Linux, Documentation/networking/pktgen.rst.
inline void tell_pktgen(const std::string& file, const std::string& line) {
  std::ofstream out("/proc/net/pktgen/" + file);
  if (!(out << line + '\n' << std::flush)) give_up(("pktgen does not take '" + line + "'").c_str());
}

/// What pktgen says of its last run: "Result: OK: 26555(c26465+d89) usec, 51211 (60byte,0frags)". The time around the
/// whole command would not do: it sleeps before and after.
inline void print_pktgen_result(const std::string& interface, unsigned burst) {
  std::ifstream in("/proc/net/pktgen/" + interface);
  for (std::string line; std::getline(in, line);) {
    unsigned long long microseconds = 0;
    unsigned long long frames = 0;
    if (std::sscanf(line.c_str(), "Result: OK: %llu(%*[^)]) usec, %llu", &microseconds, &frames) == 2 && frames != 0) {
      constexpr std::uint64_t kNanoseconds = 1000;
      Line("txonly", burst, frames).ticks("ticks", microseconds * kNanoseconds);
      return;
    }
  }
  give_up("pktgen has no result");
}

/// The kernel's own generator: one buffer, handed to the driver again and again in bursts. Nothing is allocated or
/// filled.
inline void run_pktgen(const std::string& interface, unsigned burst, std::uint64_t frames) {
  tell_pktgen("kpktgend_0", "rem_device_all");
  tell_pktgen("kpktgend_0", "add_device " + interface);
  for (const std::string& setting :
       {"count " + std::to_string(frames), std::string("clone_skb 1000000"), "burst " + std::to_string(burst),
        std::string("pkt_size 60"), std::string("delay 0"), std::string("dst_mac ff:ff:ff:ff:ff:ff")}) {
    tell_pktgen(interface, setting);
  }
  tell_pktgen("pgctrl", "start");
  print_pktgen_result(interface, burst);
}

}  // namespace baselines
