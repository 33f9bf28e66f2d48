// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/local_side.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "ports/xdp/bpf/calls.hpp"
#include "ports/xdp/bpf/rule_code.hpp"
#include "ports/xdp/bpf/rule_counters.hpp"
#include "ports/xdp/host_network.hpp"
#include "ports/xdp/links.hpp"
#include "ports/xdp/privileges.hpp"
#include "ports/xdp/socket.hpp"

namespace pollux::xdp {
namespace {

/// `interface`: of the driver that gives hints, or 0.
FileDescriptor load_code(const std::vector<bpf_insn>& code, unsigned interface, bool takes_chains) {
  // The kernel lets no other programs ask for hints.
  const char* const licence = interface != 0 ? "Dual BSD/GPL" : "BSD";
  const std::uint32_t bound = interface != 0 ? kDeviceBound : 0;
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.prog_flags = (takes_chains ? kHasFrags : 0) | bound;
  attributes.prog_ifindex = interface;
  FileDescriptor loaded = load_program(attributes, code, kOwnName, licence);
  if (loaded || errno != EINVAL || !takes_chains) return loaded;
  attributes.prog_flags = bound;
  return load_program(attributes, code, kOwnName, licence);
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

Result<FileDescriptor> LocalSide::make_socket(std::optional<std::uint32_t> busy_poll, RingSlots /*slots*/) {
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

std::vector<bpf_insn> LocalSide::code_of(const std::vector<PlacedRule>& rules) const {
  return rule_code(
      rules,
      {.sockets = sockets_.get(), .counters = counters_.get(), .queues = interface_.queues(), .hints = hint_calls_});
}

Result<FileDescriptor> LocalSide::load_rules(const std::vector<PlacedRule>& rules) const {
  FileDescriptor program = load_code(code_of(rules), hint_calls_.any() ? interface_.index() : 0, takes_chains_);
  if (!program) return bpf_error(fmt::format("{}: cannot load the XDP program", name_), errno);
  return program;
}

Result<FileDescriptor> LocalSide::load(const std::vector<PlacedRule>& rules, std::uint16_t hints, bool chains) {
  hint_calls_ = hints == 0 ? HintCalls{} : find_hint_calls(hints);
  if (hints != 0 && !hint_calls_.any()) {
    return fail(ErrorCode::not_supported, fmt::format("{}: the kernel does not say how to ask for hints", name_),
                "leave out hints, or boot a kernel with CONFIG_DEBUG_INFO_BTF=y");
  }
  detach();
  chains_ = chains;
  takes_chains_ = true;
  rules_ = rules;
  sockets_ = create_map(BPF_MAP_TYPE_XSKMAP, sizeof(int), interface_.queues(), 0);
  if (!sockets_) return bpf_error(fmt::format("{}: cannot make a map of sockets", name_), errno);
  auto program = load_rules(rules);
  if (!program) return program;
  program_ = *std::move(program);
  return copy_of(sockets_);
}

// The stack would not copy such a frame into one buffer for a program that takes several, and kernels from 6.3 on have
// faults there. So the program takes them only where frames of the port's MTU do not fit a buffer.
int LocalSide::attach(Attach where) {
  takes_chains_ = where == Attach::native || chains_;
  if (!takes_chains_) {
    auto program = load_rules(rules_);
    if (!program) return EINVAL;
    program_ = *std::move(program);
  }
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

tl::unexpected<Error> LocalSide::not_exchanged(int error) const {
  return bpf_error(fmt::format("{}: cannot exchange the XDP program", name_), error);
}

Result<void> LocalSide::replace(const std::vector<PlacedRule>& rules) {
  auto next = load_rules(rules);
  if (!next) return pass_on(std::move(next));
  bpf_attr attributes{};
  attributes.link_update.link_fd = static_cast<std::uint32_t>(link_.get());
  attributes.link_update.new_prog_fd = static_cast<std::uint32_t>(next->get());
  if (bpf(BPF_LINK_UPDATE, attributes) != 0) return not_exchanged(errno);
  program_ = *std::move(next);
  return {};
}

// Other processes may have copies of the descriptors: a port those of its helper, a child made by other means than
// fork(3) those of its parent.
void LocalSide::detach() noexcept {
  bpf_attr attributes{};
  attributes.link_detach.link_fd = static_cast<std::uint32_t>(link_.get());
  if (link_) static_cast<void>(bpf(BPF_LINK_DETACH, attributes));
  link_ = FileDescriptor();
  program_ = FileDescriptor();
  sockets_ = FileDescriptor();
}

Result<void> KernelSide::take(Taken) {
  return fail(ErrorCode::not_supported, "a port of a helper cannot take over another one",
              "leave out helper=, or start the program without a handover");
}

std::optional<KernelSide::Held> LocalSide::held() const noexcept {
  return link_ ? std::optional(Held{link_.get(), sockets_.get(), counters_.get()}) : std::nullopt;
}

Result<void> LocalSide::take(Taken taken) {
  if (!is_link_to(taken.link, interface_.index()) ||
      !is_map(taken.sockets, BPF_MAP_TYPE_XSKMAP, sizeof(std::uint32_t)) ||
      !is_map(taken.counters, BPF_MAP_TYPE_ARRAY, RuleCounters::bytes_of(interface_.queues()))) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: what was handed over is not its XDP program", name_),
                "start the program without a handover");
  }
  hint_calls_ = taken.hints == 0 ? HintCalls{} : find_hint_calls(taken.hints);
  takes_chains_ = taken.takes_chains;
  rules_ = std::move(taken.rules);
  counters_ = std::move(taken.counters);
  sockets_ = std::move(taken.sockets);
  link_ = std::move(taken.link);
  return {};
}

void LocalSide::leave() noexcept {
  link_ = FileDescriptor();
  program_ = FileDescriptor();
  sockets_ = FileDescriptor();
  counters_ = FileDescriptor();
  membership_ = {};
}

Result<void> LocalSide::join(const MacAddress& mac, bool promiscuous, bool all_multicast) {
  auto joined = Membership::join(interface_, mac, promiscuous, all_multicast);
  if (!joined) return pass_on(std::move(joined));
  membership_ = *std::move(joined);
  return {};
}

std::string LocalSide::other_program() { return attached_program(interface_.index()); }

std::string LocalSide::route_at_risk(const std::vector<PlacedRule>& rules) {
  HostNetwork host = host_network(interface_.index());
  return host.default_route.empty() || spares_host(rules, host) ? std::string() : std::move(host.default_route);
}

}  // namespace pollux::xdp
