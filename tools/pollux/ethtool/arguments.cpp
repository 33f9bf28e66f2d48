// SPDX-License-Identifier: BSD-3-Clause
#include "ethtool/arguments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/open_file.hpp"

namespace pollux::tool {
namespace {

/// Requests that exist by netlink alone: ethtool 6.1 to 6.15, ethtool.c, entries of `args` without `func`.
constexpr std::array<std::string_view, 14> kNetlinkOnly{
    "--monitor",    "--cable-test",   "--cable-test-tdr", "--show-tunnels",         "--show-module",
    "--set-module", "--get-plca-cfg", "--set-plca-cfg",   "--get-plca-status",      "--show-mm",
    "--set-mm",     "--show-pse",     "--set-pse",        "--flash-module-firmware"};
/// Options before the request that need netlink, too.
constexpr std::array<std::string_view, 3> kNetlinkFlags{"--json", "--include-statistics", "-I"};

template <std::size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// The index of the first word that is no option for all requests.
std::size_t skip_flags(const std::vector<std::string>& words) {
  std::size_t at = 0;
  while (at < words.size()) {
    if (words[at] == "--debug") {
      at += 2;
    } else if (is_one_of(kNetlinkFlags, words[at])) {
      ++at;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

std::optional<std::size_t> ethtool_device(const std::vector<std::string>& words) {
  const std::size_t at = skip_flags(words);
  if (at >= words.size()) return std::nullopt;
  if (!words[at].starts_with('-')) return at;
  if (words[at] == "--version" || at + 1 >= words.size()) return std::nullopt;
  return at + 1;
}

Result<void> check_ethtool_arguments(const std::vector<std::string>& words) {
  const std::size_t end = std::min(skip_flags(words) + 1, words.size());
  for (std::size_t i = 0; i < end; ++i) {
    if (!is_one_of(kNetlinkOnly, words[i]) && !is_one_of(kNetlinkFlags, words[i])) continue;
    return fail(ErrorCode::not_supported,
                fmt::format("ethtool {} exists by netlink only, and Pollux answers ioctls", words[i]),
                "share/doc/pollux/ethtool.md lists what a port answers; `pollux stats --json` has counters as JSON");
  }
  return {};
}

Result<void> check_preload(const std::string& path) {
  if (path.find_first_of(" :") == std::string::npos) return {};
  return fail(ErrorCode::not_supported, fmt::format("'{}' cannot be preloaded: its path has a space or a colon", path),
              "install or build Pollux in a folder without them");
}

Result<std::string> find_ethtool(const std::string& folders) {
  for (std::size_t start = 0; start < folders.size();) {
    const std::size_t end = std::min(folders.find(':', start), folders.size());
    const std::string candidate = folders.substr(start, end - start) + "/ethtool";
    if (end > start && is_program(candidate)) return candidate;
    start = end + 1;
  }
  return fail(ErrorCode::not_found, "there is no ethtool on this machine", "sudo apt install ethtool");
}

}  // namespace pollux::tool
