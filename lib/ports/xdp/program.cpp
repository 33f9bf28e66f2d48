// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/program.hpp"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

constexpr std::uint32_t kHasFrags = 1U << 5;  // BPF_F_XDP_HAS_FRAGS, Linux 5.18; missing in older headers

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

FileDescriptor load_code(const std::vector<bpf_insn>& code) {
  constexpr const char* kLicence = "BSD";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(kLicence);
  attributes.prog_flags = kHasFrags;
  std::strcpy(attributes.prog_name, "pollux");
  FileDescriptor loaded(bpf(BPF_PROG_LOAD, attributes));
  if (loaded || errno != EINVAL) return loaded;
  attributes.prog_flags = 0;
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

Result<FileDescriptor> load_rules(const std::string& name, const std::vector<PlacedRule>& rules, const RuleMaps& maps) {
  FileDescriptor program = load_code(rule_code(rules, maps));
  if (!program) return bpf_error(fmt::format("{}: cannot load the XDP program", name), errno);
  return program;
}

std::size_t bytes_of(std::uint16_t queues) noexcept { return queues * kCounterSlots * sizeof(std::uint64_t); }

}  // namespace

Result<RuleCounters> RuleCounters::create(const std::string& name, std::uint16_t queues) {
  FileDescriptor map = create_map(BPF_MAP_TYPE_ARRAY, static_cast<std::uint32_t>(bytes_of(queues)), 1, BPF_F_MMAPABLE);
  if (!map) return bpf_error(fmt::format("{}: cannot make a map of counters", name), errno);
  void* const values = ::mmap(nullptr, bytes_of(queues), PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (values == MAP_FAILED) return bpf_error(fmt::format("{}: cannot map the counters", name), errno);
  return RuleCounters(std::move(map), static_cast<std::uint64_t*>(values), queues);
}

RuleCounters::RuleCounters(RuleCounters&& other) noexcept
    : map_(std::move(other.map_)),
      values_(std::exchange(other.values_, nullptr)),
      queues_(other.queues_),
      owners_(other.owners_) {}

RuleCounters::~RuleCounters() {
  if (values_ != nullptr) ::munmap(values_, bytes_of(queues_));
}

void RuleCounters::assign(const std::vector<PlacedRule>& rules) noexcept {
  for (const PlacedRule& rule : rules) {
    FlowRuleId& owner = owners_[*rule.slot];
    if (owner == rule.id) continue;
    owner = rule.id;
    for (std::uint32_t queue = 0; queue < queues_; ++queue) {
      __atomic_store_n(&values_[queue * kCounterSlots + *rule.slot], 0, __ATOMIC_RELAXED);
    }
  }
}

std::uint64_t RuleCounters::value(std::uint32_t slot) const noexcept {
  std::uint64_t sum = 0;
  for (std::uint32_t queue = 0; queue < queues_; ++queue) {
    sum += __atomic_load_n(&values_[queue * kCounterSlots + slot], __ATOMIC_RELAXED);
  }
  return sum;
}

Result<Program> Program::load(const std::string& name, std::uint16_t queues, const std::vector<PlacedRule>& rules,
                              RuleCounters& counters) {
  FileDescriptor map = create_map(BPF_MAP_TYPE_XSKMAP, sizeof(int), queues, 0);
  if (!map) return bpf_error(fmt::format("{}: cannot make a map of sockets", name), errno);
  counters.assign(rules);
  auto program = load_rules(name, rules, {.sockets = map.get(), .counters = counters.map(), .queues = queues});
  if (!program) return pass_on(std::move(program));
  return Program(std::move(map), *std::move(program), queues);
}

Result<void> Program::replace(const std::string& name, const std::vector<PlacedRule>& rules, RuleCounters& counters) {
  counters.assign(rules);
  auto next = load_rules(name, rules, {.sockets = map_.get(), .counters = counters.map(), .queues = queues_});
  if (!next) return pass_on(std::move(next));
  bpf_attr attributes{};
  attributes.link_update.link_fd = static_cast<std::uint32_t>(link_.get());
  attributes.link_update.new_prog_fd = static_cast<std::uint32_t>(next->get());
  if (bpf(BPF_LINK_UPDATE, attributes) != 0) {
    return bpf_error(fmt::format("{}: cannot exchange the XDP program", name), errno);
  }
  program_ = *std::move(next);
  return {};
}

int Program::attach(unsigned interface, Attach where) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program_.get());
  attributes.link_create.target_ifindex = interface;
  attributes.link_create.attach_type = BPF_XDP;
  attributes.link_create.flags = where == Attach::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  FileDescriptor link(bpf(BPF_LINK_CREATE, attributes));
  if (!link) return errno;
  link_ = std::move(link);
  return 0;
}

int Program::redirect(std::uint16_t queue, int socket) {
  const std::uint32_t key = queue;
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(map_.get());
  attributes.key = reinterpret_cast<std::uintptr_t>(&key);
  attributes.value = reinterpret_cast<std::uintptr_t>(&socket);
  return bpf(BPF_MAP_UPDATE_ELEM, attributes) == 0 ? 0 : errno;
}

}  // namespace pollux::xdp
