// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/local_side.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ports/xdp/links.hpp"
#include "ports/xdp/privileges.hpp"
#include "ports/xdp/rule_code.hpp"
#include "ports/xdp/rule_counters.hpp"
#include "ports/xdp/socket.hpp"

namespace pollux::xdp {
namespace {

// Missing in older headers.
constexpr std::uint32_t kHasFrags = 1U << 5;     // BPF_F_XDP_HAS_FRAGS, Linux 5.18
constexpr std::uint32_t kDeviceBound = 1U << 6;  // BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3

int bpf(bpf_cmd command, const bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

FileDescriptor create_map(bpf_map_type type, std::uint32_t value_size, std::uint32_t entries, std::uint32_t flags) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = value_size;
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  std::strcpy(attributes.map_name, "pollux");
  return FileDescriptor(bpf(BPF_MAP_CREATE, attributes));
}

/// `interface`: of the driver that gives hints, or 0.
FileDescriptor load_code(const std::vector<bpf_insn>& code, unsigned interface) {
  // The kernel lets no other programs ask for hints.
  const char* const licence = interface != 0 ? "Dual BSD/GPL" : "BSD";
  const std::uint32_t bound = interface != 0 ? kDeviceBound : 0;
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(licence);
  attributes.prog_flags = kHasFrags | bound;
  attributes.prog_ifindex = interface;
  std::strcpy(attributes.prog_name, "pollux");
  FileDescriptor loaded(bpf(BPF_PROG_LOAD, attributes));
  if (loaded || errno != EINVAL) return loaded;
  attributes.prog_flags = bound;
  return FileDescriptor(bpf(BPF_PROG_LOAD, attributes));
}

tl::unexpected<Error> bpf_error(const std::string& what, int error) {
  if (error == EPERM || error == EACCES) {
    return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
  }
  if (error == ENOSYS || error == EINVAL) {
    return fail_errno(ErrorCode::not_supported, what, error,
                      "boot a kernel with CONFIG_BPF_SYSCALL=y and CONFIG_XDP_SOCKETS=y");
  }
  return fail_errno(ErrorCode::io_error, what, error);
}

tl::unexpected<Error> socket_error(const std::string& name, int error) {
  const std::string what = fmt::format("{}: cannot make an AF_XDP socket", name);
  switch (error) {
    case EPERM:
    case EACCES: return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
    case EAFNOSUPPORT:
      return fail_errno(ErrorCode::not_supported, what, error, "boot a kernel with CONFIG_XDP_SOCKETS=y");
    default: return fail_errno(ErrorCode::io_error, what, error);
  }
}

// Linux 5.11, include/uapi/asm-generic/socket.h; missing in older headers.
constexpr int kPreferBusyPoll = 69;
constexpr int kBusyPollBudget = 70;
/// Frames that one call handles at most: NAPI's usual weight.
constexpr int kBudget = 64;

int set_busy_poll(int socket, std::uint32_t microseconds) {
  const std::pair<int, int> options[] = {
      {kPreferBusyPoll, 1}, {SO_BUSY_POLL, static_cast<int>(microseconds)}, {kBusyPollBudget, kBudget}};
  for (const auto& [option, value] : options) {
    if (::setsockopt(socket, SOL_SOCKET, option, &value, sizeof value) != 0) return errno;
  }
  return 0;
}

FileDescriptor copy_of(const FileDescriptor& descriptor) {
  return FileDescriptor(::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
}

}  // namespace

int set_socket(int map, std::uint16_t queue, int socket) {
  const std::uint32_t key = queue;
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(map);
  attributes.key = reinterpret_cast<std::uintptr_t>(&key);
  attributes.value = reinterpret_cast<std::uintptr_t>(&socket);
  return bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0 ? 0 : errno;
}

// The kernel checks the flags of a bind before it looks for the interface (net/xdp/xsk.c, xsk_bind): EINVAL means that
// it does not know the flag.
bool LocalSide::has_chains() const noexcept {
  const FileDescriptor socket(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  return socket && bind_to(socket.get(), 0, 0, kUseChains, -1) != EINVAL;
}

Result<FileDescriptor> LocalSide::make_socket(std::optional<std::uint32_t> busy_poll) {
  FileDescriptor socket(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket) return socket_error(name_, errno);
  const int error = busy_poll ? set_busy_poll(socket.get(), *busy_poll) : 0;
  if (error == 0) return socket;
  const std::string what = fmt::format("{}: cannot poll busily in the kernel", name_);
  if (error == EPERM) return fail_errno(ErrorCode::permission_denied, what, error, kPrivilegesHint);
  return fail_errno(ErrorCode::not_supported, what, error,
                    "leave out busy-poll=, or use a kernel of 5.11 or newer with CONFIG_NET_RX_BUSY_POLL=y");
}

Result<FileDescriptor> LocalSide::make_counters() {
  counters_ = create_map(BPF_MAP_TYPE_ARRAY, RuleCounters::bytes_of(interface_.queues()), 1, BPF_F_MMAPABLE);
  if (!counters_) return bpf_error(fmt::format("{}: cannot make a map of counters", name_), errno);
  return copy_of(counters_);
}

Result<FileDescriptor> LocalSide::load_rules(const std::vector<PlacedRule>& rules) const {
  const RuleMaps maps{
      .sockets = sockets_.get(), .counters = counters_.get(), .queues = interface_.queues(), .hints = hint_calls_};
  FileDescriptor program = load_code(rule_code(rules, maps), hint_calls_.any() ? interface_.index() : 0);
  if (!program) return bpf_error(fmt::format("{}: cannot load the XDP program", name_), errno);
  return program;
}

Result<FileDescriptor> LocalSide::load(const std::vector<PlacedRule>& rules, std::uint16_t hints) {
  hint_calls_ = hints == 0 ? HintCalls{} : find_hint_calls(hints);
  if (hints != 0 && !hint_calls_.any()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the kernel does not say how to ask for hints", name_),
                "leave out hints, or boot a kernel with CONFIG_DEBUG_INFO_BTF=y");
  }
  sockets_ = create_map(BPF_MAP_TYPE_XSKMAP, sizeof(int), interface_.queues(), 0);
  if (!sockets_) return bpf_error(fmt::format("{}: cannot make a map of sockets", name_), errno);
  auto program = load_rules(rules);
  if (!program) return program;
  program_ = *std::move(program);
  return copy_of(sockets_);
}

int LocalSide::attach(Attach where) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program_.get());
  attributes.link_create.target_ifindex = interface_.index();
  attributes.link_create.attach_type = BPF_XDP;
  attributes.link_create.flags = where == Attach::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  FileDescriptor link(bpf(BPF_LINK_CREATE, attributes));
  if (!link) return errno;
  link_ = std::move(link);
  return 0;
}

Result<void> LocalSide::replace(const std::vector<PlacedRule>& rules) {
  auto next = load_rules(rules);
  if (!next) return pass_on(std::move(next));
  bpf_attr attributes{};
  attributes.link_update.link_fd = static_cast<std::uint32_t>(link_.get());
  attributes.link_update.new_prog_fd = static_cast<std::uint32_t>(next->get());
  if (bpf(BPF_LINK_UPDATE, attributes) != 0) {
    return bpf_error(fmt::format("{}: cannot exchange the XDP program", name_), errno);
  }
  program_ = *std::move(next);
  return {};
}

void LocalSide::detach() noexcept {
  link_ = FileDescriptor();
  program_ = FileDescriptor();
  sockets_ = FileDescriptor();
}

Result<void> LocalSide::join(const MacAddress& mac, bool promiscuous, bool all_multicast) {
  auto joined = Membership::join(interface_, mac, promiscuous, all_multicast);
  if (!joined) return pass_on(std::move(joined));
  membership_ = *std::move(joined);
  return {};
}

std::string LocalSide::other_program() { return attached_program(interface_.index()); }

std::string LocalSide::default_route() { return default_route_over(interface_.index()); }

}  // namespace pollux::xdp
