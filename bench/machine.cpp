// SPDX-License-Identifier: BSD-3-Clause
#include "machine.hpp"

#include <fstream>

namespace pollux::bench {
namespace {

// The value of the line that starts with `name`.
std::string value_in(const char* path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(name)) continue;
    const std::size_t start = line.find_first_not_of(" \t", line.find(':') + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "unknown";
}

}  // namespace

std::string processor() { return value_in("/proc/cpuinfo", "model name"); }
std::string free_huge_pages() { return value_in("/proc/meminfo", "HugePages_Free:"); }

}  // namespace pollux::bench
