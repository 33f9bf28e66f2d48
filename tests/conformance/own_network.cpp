// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/own_network.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace pollux::conformance {
namespace {

void write_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (file < 0) return;
  static_cast<void>(::write(file, text.data(), text.size()) > 0);
  ::close(file);
}

/// Moves the process to a new network namespace. Returns 0 or errno.
int leave_host_network() {
  if (::unshare(CLONE_NEWNET) == 0) return 0;
  const std::string user = std::to_string(::geteuid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return errno;
  write_file("/proc/self/uid_map", "0 " + user + " 1");
  return 0;
}

enum Step : int { kAll = 0, kNetwork = 1, kDevice = 2, kInterface = 3 };

Step try_all() {
  if (leave_host_network() != 0) return kNetwork;
  const int tun = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  if (tun < 0) return kDevice;
  ifreq request{};
  std::strcpy(request.ifr_name, "probe");
  request.ifr_flags = IFF_TAP | IFF_NO_PI;
  return ::ioctl(tun, TUNSETIFF, &request) == 0 ? kAll : kInterface;
}

}  // namespace

void enter_own_network() {
  static const int error = [] {
    const int status = leave_host_network();
    // Otherwise the ports would receive the kernel's neighbour discovery.
    for (const char* where : {"all", "default"}) {
      write_file(std::string("/proc/sys/net/ipv6/conf/") + where + "/disable_ipv6", "1");
    }
    return status;
  }();
  if (error != 0) throw std::system_error(error, std::generic_category(), "cannot create a network namespace");
}

std::optional<std::string> own_network_obstacle() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(try_all());
  int status = -1;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return "fork failed";
  switch (WEXITSTATUS(status)) {
    case kAll: return std::nullopt;
    case kNetwork: return "cannot create a network namespace: run as root, or allow user namespaces";
    case kDevice: return "/dev/net/tun cannot be opened: modprobe tun, or chmod 0666 /dev/net/tun, as root";
    default: return "cannot create a TAP interface: run as root";
  }
}

}  // namespace pollux::conformance
