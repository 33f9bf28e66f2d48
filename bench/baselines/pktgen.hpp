// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fstream>

#include "cases.hpp"

namespace baselines {

/// Writes one line to a file of pktgen. Linux, Documentation/networking/pktgen.rst.
inline void tell_pktgen(const std::string& file, const std::string& line) {
  std::ofstream out("/proc/net/pktgen/" + file);
  if (!(out << line + '\n' << std::flush)) give_up(("pktgen rejected '" + line + "'").c_str());
}

/// Prints the result that pktgen reports: "Result: OK: 26555(c26465+d89) usec, 51211 (60byte,0frags)". The run time of
/// the command is not usable, because pktgen sleeps before and after the transmission.
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

/// Runs the kernel's packet generator, which passes the same buffer to the driver repeatedly, in bursts. It allocates
/// and fills no other buffers.
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
