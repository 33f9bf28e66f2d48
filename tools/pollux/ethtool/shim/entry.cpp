// SPDX-License-Identifier: BSD-3-Clause
// What the shared object puts in place of the C library's functions. ethtool asks by netlink first, and by SIOCETHTOOL
// if there is no netlink; so netlink is refused, and SIOCETHTOOL answered for the port of the running program.
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "verbs.hpp"

namespace pollux::ethtool {
namespace {

Answer* find_answer(std::uint32_t command) {
  const std::array tables{driver_verbs(), statistics_verbs(), link_verbs(), queue_verbs(),  feature_verbs(),
                          memory_verbs(), rss_verbs(),        flow_verbs(), control_verbs()};
  for (const auto& table : tables) {
    for (const Verb& verb : table) {
      if (verb.command == command) return verb.answer;
    }
  }
  return nullptr;
}

const char* variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Whether the request is about the port. The names of others go to the kernel.
bool is_for_port(const ifreq& request) {
  const char* const name = variable("POLLUX_ETHTOOL_PORT");
  return *name != '\0' && std::strncmp(request.ifr_name, name, sizeof request.ifr_name) == 0;
}

int answer(const ifreq& request) noexcept {
  try {
    static Port port(variable("POLLUX_ETHTOOL_SOCKET"), variable("POLLUX_ETHTOOL_PORT"));
    std::uint32_t command = 0;
    std::memcpy(&command, request.ifr_data, sizeof command);
    Answer* const found = find_answer(command);
    return found == nullptr ? EOPNOTSUPP : found(port, request.ifr_data);
  } catch (const std::exception&) {
    return ENOMEM;
  }
}

}  // namespace
}  // namespace pollux::ethtool

extern "C" {

// NOLINTBEGIN(readability-identifier-naming, cert-dcl50-cpp, cppcoreguidelines-pro-type-vararg): the C library's
[[gnu::visibility("default")]] int socket(int domain, int type, int protocol) noexcept {
  if (domain == AF_NETLINK) {
    errno = EAFNOSUPPORT;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_socket, domain, type, protocol));
}

[[gnu::visibility("default")]] int ioctl(int descriptor, unsigned long request, ...) noexcept {
  va_list words;
  va_start(words, request);
  void* const data = va_arg(words, void*);
  va_end(words);
  if (request != SIOCETHTOOL || data == nullptr)
    return static_cast<int>(::syscall(SYS_ioctl, descriptor, request, data));
  const auto& about = *static_cast<const ifreq*>(data);
  if (!pollux::ethtool::is_for_port(about)) return static_cast<int>(::syscall(SYS_ioctl, descriptor, request, data));
  const int error = pollux::ethtool::answer(about);
  if (error == 0) return 0;
  errno = error;
  return -1;
}
// NOLINTEND(readability-identifier-naming, cert-dcl50-cpp, cppcoreguidelines-pro-type-vararg)

}  // extern "C"
