// SPDX-License-Identifier: BSD-3-Clause
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "host/network_reader.hpp"
#include "host/network_state.hpp"
#include "pci/sysfs.hpp"
#include "pollux/host/interface_backup.hpp"

namespace pollux::host {
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

/// The local address of each established TCP connection. `net` is the directory of procfs for a network namespace, such
/// as /proc/thread-self/net.
std::vector<IpPrefix> tcp_connections(const fs::path& net) {
  std::vector<IpPrefix> connections;
  add_established(net / "tcp", connections);
  add_established(net / "tcp6", connections);
  return connections;
}

/// The address of this machine to which the user of this process, or of one of its parents, is connected by ssh. sudo
/// removes the variable, so the environments of the parents are searched, too. ssh(1): it has the address and port
/// of the client, then those of the server.
std::optional<IpPrefix> ssh_session(const pci::SystemPaths& paths) {
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

/// A network namespace. It is not kept open: there may be more than descriptors.
struct FoundNamespace {
  fs::path file;
  std::uint64_t id = 0;
  std::string name;
  std::string command_prefix;
};

/// Returns none if `file` is no namespace, as `ip netns` can leave behind.
FileDescriptor open_namespace(const fs::path& file, std::uint64_t& id) {
  FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct statfs system {};
  struct stat status {};
  if (!descriptor || ::fstatfs(descriptor.get(), &system) != 0 || system.f_type != NSFS_MAGIC) return {};
  if (::fstat(descriptor.get(), &status) != 0) return {};
  id = status.st_ino;
  return descriptor;
}

/// Returns none if it has gone.
FileDescriptor open_namespace(const FoundNamespace& found) {
  std::uint64_t id = 0;
  FileDescriptor descriptor = open_namespace(found.file, id);
  return id == found.id ? std::move(descriptor) : FileDescriptor();
}

/// Finds all network namespaces but that of `own_id`, each once, by the first name found.
class NamespaceFinder {
 public:
  using Found = std::function<void(const FoundNamespace& found, const FileDescriptor& descriptor)>;
  NamespaceFinder(const pci::SystemPaths& paths, std::uint64_t own_id, Found found)
      : paths_(paths), found_(std::move(found)), known_{own_id} {}

  void find() {
    for (const std::string& name : pci::sysfs::entries(paths_.run / "netns")) {
      add(paths_.run / "netns" / name, "network namespace " + name,
          fmt::format("ip netns exec {} ", shell_quoted(name)));
    }
    add_mounted();
    add_of_processes();
  }

 private:
  void add(const fs::path& file, const std::string& name, const std::string& command_prefix) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0 || known_.contains(status.st_ino)) return;
    std::uint64_t id = 0;
    const FileDescriptor descriptor = open_namespace(file, id);
    // The file may have changed between the two calls.
    if (descriptor && known_.insert(id).second) found_({file, id, name, command_prefix}, descriptor);
  }

  // Container engines mount namespaces in other directories: proc(5), /proc/pid/mountinfo.
  void add_mounted() {
    std::ifstream table(paths_.proc / "self/mountinfo");
    for (std::string line; std::getline(table, line);) {
      std::istringstream fields(line);
      std::string ignored;
      std::string root;
      std::string mount_point;
      fields >> ignored >> ignored >> ignored >> root >> mount_point;
      if (!root.starts_with("net:[")) continue;
      add(mount_point, "the network namespace at " + mount_point,
          fmt::format("nsenter --net={} ", shell_quoted(mount_point)));
    }
  }

  void add_of_processes() {
    for (const std::string& process : pci::sysfs::entries(paths_.proc)) {
      if (process.find_first_not_of("0123456789") != std::string::npos) continue;
      const fs::path directory = paths_.proc / process;
      add(directory / "ns/net",
          fmt::format("the network namespace of process {} ({})", process, pci::sysfs::process_name(directory)),
          fmt::format("nsenter --target {} --net ", process));
    }
  }

  const pci::SystemPaths& paths_;
  Found found_;
  std::set<std::uint64_t> known_;
};

// A line has the number of the session, the address of the other end, and the interface: Linux,
// drivers/net/ppp/pppoe.c, pppoe_seq_show. The file exists while the module is loaded.
std::vector<std::string> read_pppoe(const fs::path& file) {
  std::vector<std::string> interfaces;
  std::istringstream lines(pci::sysfs::read_text(file).value_or(""));
  std::string line;
  std::getline(lines, line);  // the titles
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    std::string session;
    std::string peer;
    std::string interface;
    if (fields >> session >> peer >> interface) interfaces.push_back(interface);
  }
  return interfaces;
}

/// A namespace that was read.
struct VisitedNamespace {
  FoundNamespace found;
  NamespaceNumbers numbers;  ///< of its links whose `lower_namespace` is unknown
  bool concerns = false;     ///< its own links or those below them are hardware, or of the caller's namespace
};

/// Runs in a thread of its own, because it changes the thread's namespace. Any user can have thousands of namespaces,
/// with millions of routes. So each is entered once, and once more for each one that concerns the hardware, if it may
/// have links on that; and only of those that concern it more is read than links.
class Visitor {
 public:
  explicit Visitor(const pci::SystemPaths& paths) : paths_(paths) {}

  Result<NetworkState> visit_all() {
    state_.ssh_session = ssh_session(paths_);
    FoundNamespace own{.file = {}, .id = 0, .name = "this network namespace", .command_prefix = {}};
    own_ = open_namespace(paths_.proc / "thread-self/ns/net", own.id);
    // That path leads to where the thread is.
    own.file = paths_.proc / "self/fd" / std::to_string(own_.get());
    if (auto read = read_here(own); !read) return pass_on(std::move(read));
    const auto visit = [this](const FoundNamespace& other, const FileDescriptor& descriptor) {
      if (!enter(descriptor) || !read_here(other)) state_.unseen.push_back(other.name);
    };
    NamespaceFinder(paths_, own.id, visit).find();
    follow_links();
    return std::move(state_);
  }

 private:
  static bool enter(const FileDescriptor& descriptor) {
    return descriptor && ::setns(descriptor.get(), CLONE_NEWNET) == 0;
  }

  Result<void> read_here(const FoundNamespace& found) {
    NetworkNamespace where{.id = found.id, .name = found.name, .command_prefix = found.command_prefix};
    VisitedNamespace visited{.found = found, .numbers = {}};
    if (auto read = read_links(where, visited.numbers); !read) return read;
    visited.concerns = visited_.empty() || std::ranges::any_of(where.links, [](const NetworkLink& link) {
                         return !link.parent_device.empty();
                       });
    if (visited.concerns) {
      if (auto read = read_uses(where); !read) return read;
      to_follow_.push_back(visited_.size());
    }
    state_.namespaces.push_back(std::move(where));
    visited_.push_back(std::move(visited));
    return {};
  }

  /// What uses the links of the namespace in which the thread is.
  Result<void> read_uses(NetworkNamespace& where) const {
    const fs::path net = paths_.proc / "thread-self/net";
    where.pppoe = read_pppoe(net / "pppoe");
    where.connections = tcp_connections(net);  // the kernel goes through all connections of the machine for it
    return read_addresses_and_routes(where);
  }

  /// Finds the links whose lower one is in a namespace that concerns the hardware, so that theirs does, too.
  void follow_links() {
    while (!to_follow_.empty()) {
      const std::size_t lower = to_follow_.back();
      to_follow_.pop_back();
      const FileDescriptor descriptor = open_namespace(visited_[lower].found);
      if (!descriptor) continue;
      for (std::size_t upper = 0; upper < visited_.size(); ++upper) {
        if (!visited_[upper].numbers.empty()) follow_links(upper, lower, descriptor);
      }
    }
  }

  void follow_links(std::size_t upper, std::size_t lower, const FileDescriptor& descriptor) {
    VisitedNamespace& visited = visited_[upper];
    const FileDescriptor there = open_namespace(visited.found);
    if (!there) {  // its process has ended; another one may still have it
      state_.unseen.push_back(visited.found.name);
      return visited.numbers.clear();
    }
    if (!enter(there)) return;
    const std::int32_t number = namespace_number(descriptor.get());
    bool leads = false;
    for (NetworkLink& link : state_.namespaces[upper].links) {
      const auto found = visited.numbers.find(link.index);
      if (number < 0 || found == visited.numbers.end() || found->second != number) continue;
      visited.numbers.erase(found);
      link.lower_namespace = state_.namespaces[lower].id;
      leads = true;
    }
    if (!leads || std::exchange(visited.concerns, true)) return;
    if (!read_uses(state_.namespaces[upper])) state_.unseen.push_back(visited.found.name);
    to_follow_.push_back(upper);
  }

  const pci::SystemPaths& paths_;
  FileDescriptor own_;
  NetworkState state_;
  std::vector<VisitedNamespace> visited_;  // as those of the state
  std::vector<std::size_t> to_follow_;     // indices of those that concern the hardware
};

}  // namespace

Result<NetworkState> KernelNetwork::read() const {
  Result<NetworkState> state;
  try {
    std::thread visitor([&] { state = Visitor(paths_).visit_all(); });
    visitor.join();
  } catch (const std::system_error& error) {
    return fail_errno(ErrorCode::io_error, "cannot start a thread to read the host's network state",
                      error.code().value(), "raise the limit on threads: ulimit -u");
  }
  if (!state) state.error().hint += ", or bind with --force if the port is known to be unused";
  return state;
}

Result<InterfaceBackup> KernelNetwork::save(const std::string& interface) const { return back_up_interface(interface); }

Result<void> KernelNetwork::restore(const InterfaceBackup& backup, const std::string& interface) const {
  return restore_interface(backup, interface);
}

}  // namespace pollux::host
