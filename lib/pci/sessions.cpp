// SPDX-License-Identifier: BSD-3-Clause
#include "pci/sessions.hpp"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>

namespace pollux::pci {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEstablished = "01";
constexpr std::size_t kV4Digits = 8;
constexpr std::size_t kV6Digits = 32;

IpPrefix v4(const std::uint8_t* bytes) {
  IpPrefix address{.v6 = false, .bytes = {}, .length = 32};
  std::memcpy(address.bytes.data(), bytes, 4);
  return address;
}

IpPrefix v6(const std::array<std::uint8_t, 16>& bytes) {
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
  if (std::memcmp(bytes.data(), kMapped.data(), kMapped.size()) == 0) return v4(bytes.data() + kMapped.size());
  return {.v6 = true, .bytes = bytes, .length = 128};
}

/// An address with its port, such as "0700A8C0:0016". Linux, net/ipv4/tcp_ipv4.c, get_tcp4_sock, prints an address as
/// one number of 32 bits in this machine's order, and net/ipv6/tcp_ipv6.c as four of them.
std::optional<IpPrefix> parse_local(std::string_view text) {
  const std::string_view digits = text.substr(0, text.find(':'));
  if (digits.size() != kV4Digits && digits.size() != kV6Digits) return std::nullopt;
  std::array<std::uint8_t, 16> bytes{};
  for (std::size_t at = 0; at < digits.size(); at += kV4Digits) {
    std::uint32_t word = 0;
    const char* const begin = digits.data() + at;
    const auto [stop, error] = std::from_chars(begin, begin + kV4Digits, word, 16);
    if (error != std::errc{} || stop != begin + kV4Digits) return std::nullopt;
    std::memcpy(bytes.data() + at / 2, &word, sizeof word);
  }
  return digits.size() == kV4Digits ? v4(bytes.data()) : v6(bytes);
}

void add_established(const fs::path& file, std::vector<IpPrefix>& into) {
  std::ifstream lines(file);
  std::string line;
  std::getline(lines, line);  // the titles
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string number;
    std::string local;
    std::string remote;
    std::string state;
    if (!(fields >> number >> local >> remote >> state) || state != kEstablished) continue;
    if (const auto address = parse_local(local)) into.push_back(*address);
  }
}

std::string environment_variable(const fs::path& process, std::string_view name) {
  std::ifstream variables(process / "environ");
  for (std::string variable; std::getline(variables, variable, '\0');) {
    if (variable.starts_with(name)) return variable.substr(name.size());
  }
  return {};
}

std::string parent_of(const fs::path& process) {
  std::ifstream lines(process / "status");
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string key;
    std::string number;
    if (fields >> key >> number && key == "PPid:") return number;
  }
  return "0";
}

std::optional<IpPrefix> parse_address(std::string text) {
  text = text.substr(0, text.find('%'));  // a link-local address has the name of its interface behind it
  std::array<std::uint8_t, 16> bytes{};
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return v4(bytes.data());
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return v6(bytes);
  return std::nullopt;
}

}  // namespace

std::vector<IpPrefix> tcp_connections(const fs::path& net) {
  std::vector<IpPrefix> connections;
  add_established(net / "tcp", connections);
  add_established(net / "tcp6", connections);
  return connections;
}

// sudo removes the variable, so the environments of the parents are searched, too. ssh(1): it has the address and port
// of the client, then those of the server.
std::optional<IpPrefix> ssh_session(const SystemPaths& paths) {
  constexpr int kMaxParents = 64;
  std::string process = "self";
  for (int parents = 0; parents < kMaxParents && process != "0"; ++parents) {
    std::istringstream words(environment_variable(paths.proc / process, "SSH_CONNECTION="));
    std::string client;
    std::string port;
    std::string server;
    if (words >> client >> port >> server) return parse_address(server);
    process = parent_of(paths.proc / process);
  }
  return std::nullopt;
}

}  // namespace pollux::pci
