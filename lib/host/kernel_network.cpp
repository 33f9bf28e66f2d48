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
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "base/file_descriptor.hpp"
#include "base/shell_words.hpp"
#include "host/network_reader.hpp"
#include "pci/sysfs.hpp"
#include "pollux/host/interface_backup.hpp"
#include "pollux/host/network_state.hpp"

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

/// A network namespace. It is kept open, so that the kernel does not reuse its id.
struct FoundNamespace {
  FileDescriptor descriptor;
  std::uint64_t id = 0;
  std::string name;
  std::string command_prefix;
};

/// Collects all network namespaces, each once, with the first name found.
class NamespaceFinder {
 public:
  explicit NamespaceFinder(const pci::SystemPaths& paths) : paths_(paths) {}

  std::vector<FoundNamespace> find() {
    add(paths_.proc / "thread-self/ns/net", "this network namespace", "");
    for (const std::string& name : pci::sysfs::entries(paths_.run / "netns")) {
      add(paths_.run / "netns" / name, "network namespace " + name,
          fmt::format("ip netns exec {} ", shell_quoted(name)));
    }
    add_mounted();
    add_of_processes();
    return std::move(found_);
  }

 private:
  void add(const fs::path& file, const std::string& name, const std::string& command_prefix) {
    struct stat status {};
    if (::stat(file.c_str(), &status) != 0 || known(status.st_ino)) return;
    FileDescriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    // The file may have changed between the two calls, and `ip netns` can leave regular files behind.
    if (!descriptor || !is_namespace(descriptor) || ::fstat(descriptor.get(), &status) != 0) return;
    if (known(status.st_ino)) return;
    found_.push_back({std::move(descriptor), status.st_ino, name, command_prefix});
  }

  static bool is_namespace(const FileDescriptor& descriptor) {
    struct statfs system {};
    return ::fstatfs(descriptor.get(), &system) == 0 && system.f_type == NSFS_MAGIC;
  }

  [[nodiscard]] bool known(std::uint64_t id) const {
    return std::any_of(found_.begin(), found_.end(), [&](const FoundNamespace& other) { return other.id == id; });
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
  std::vector<FoundNamespace> found_;
};

/// Maps the numbers by which the thread's namespace knows the others to their ids. It queries the kernel once, when an
/// interface first needs it.
class NamespaceNumbers {
 public:
  explicit NamespaceNumbers(const std::vector<FoundNamespace>& all) : all_(all) {}

  std::uint64_t id_of(std::int32_t number) {
    if (!std::exchange(queried_, true)) {
      for (const FoundNamespace& one : all_) ids_.emplace(namespace_number(one.descriptor.get()), one.id);
    }
    const auto found = ids_.find(number);
    return number < 0 || found == ids_.end() ? NetworkLink::kUnknownNamespace : found->second;
  }

 private:
  const std::vector<FoundNamespace>& all_;
  std::map<std::int32_t, std::uint64_t> ids_;
  bool queried_ = false;
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

Result<void> read_here(const pci::SystemPaths& paths, NetworkNamespace& into, const std::vector<FoundNamespace>& all) {
  NamespaceNumbers numbers(all);
  into.pppoe = read_pppoe(paths.proc / "thread-self/net/pppoe");
  into.connections = tcp_connections(paths.proc / "thread-self/net");
  return read_current_namespace(into, [&](std::int32_t number) { return numbers.id_of(number); });
}

// Runs in a separate thread, because it changes the thread's namespace.
Result<NetworkState> visit_all(const pci::SystemPaths& paths) {
  const std::vector<FoundNamespace> all = NamespaceFinder(paths).find();
  NetworkState state;
  state.ssh_session = ssh_session(paths);
  NetworkNamespace own;
  own.name = "this network namespace";
  if (!all.empty() && all.front().command_prefix.empty()) own.id = all.front().id;
  if (auto read = read_here(paths, own, all); !read) return pass_on(std::move(read));
  state.namespaces.push_back(std::move(own));
  for (const FoundNamespace& other : all) {
    if (other.id == state.namespaces.front().id) continue;
    NetworkNamespace there;
    there.id = other.id;
    there.name = other.name;
    there.command_prefix = other.command_prefix;
    if (::setns(other.descriptor.get(), CLONE_NEWNET) == 0 && read_here(paths, there, all)) {
      state.namespaces.push_back(std::move(there));
    } else {
      state.unseen.push_back(other.name);
    }
  }
  return state;
}

}  // namespace

Result<NetworkState> KernelNetwork::read() const {
  Result<NetworkState> state;
  try {
    std::thread visitor([&] { state = visit_all(paths_); });
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
