// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/own_network.hpp"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
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

/// What attaching needs: a namespace of the first user namespace, a socket, and a map.
Step try_xdp() {
  if (::unshare(CLONE_NEWNET) != 0) return kNetwork;
  if (::socket(AF_XDP, SOCK_RAW, 0) < 0) return kDevice;
  bpf_attr map{};
  map.map_type = BPF_MAP_TYPE_XSKMAP;
  map.key_size = map.value_size = 4;
  map.max_entries = 1;
  return ::syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map) >= 0 ? kAll : kInterface;
}

/// The step that failed in a child process; nullopt if it cannot be known.
std::optional<Step> step_of_child(Step (*attempt)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(attempt());
  int status = -1;
  if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) return std::nullopt;
  return static_cast<Step>(WEXITSTATUS(status));
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
  const auto step = step_of_child(try_all);
  if (!step) return "fork failed";
  switch (*step) {
    case kAll: return std::nullopt;
    case kNetwork: return "cannot create a network namespace: run as root, or allow user namespaces";
    case kDevice: return "/dev/net/tun cannot be opened: modprobe tun, or chmod 0666 /dev/net/tun, as root";
    default: return "cannot create a TAP interface: run as root";
  }
}

void make_veth_pair(const std::string& left, const std::string& right) {
  if (::if_nametoindex(left.c_str()) != 0) return;
  const std::string queues = " mtu 9216 numrxqueues 8 numtxqueues 8 ";
  const std::string command = "ip link add " + left + queues + "type veth peer name " + right + queues +
                              "&& ip link set " + left + " up && ip link set " + right + " up";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

std::optional<std::string> xdp_obstacle() {
  const auto step = step_of_child(try_xdp);
  if (!step) return "fork failed";
  switch (*step) {
    case kAll: return std::nullopt;
    case kNetwork: return "cannot create a network namespace: run as root";
    case kDevice: return "AF_XDP sockets cannot be made: use a kernel with CONFIG_XDP_SOCKETS=y, as root";
    default: return "BPF maps cannot be made: run as root";
  }
}

}  // namespace pollux::conformance
