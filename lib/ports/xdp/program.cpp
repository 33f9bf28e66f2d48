// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/program.hpp"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "ports/xdp/privileges.hpp"

namespace pollux::xdp {
namespace {

constexpr std::uint32_t kHasFrags = 1U << 5;  // BPF_F_XDP_HAS_FRAGS, Linux 5.18; missing in older headers

int bpf(bpf_cmd command, const bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

/// return bpf_redirect_map(map, context->rx_queue_index, XDP_PASS). Linux, Documentation/bpf/standardization.
std::array<bpf_insn, 6> instructions(int map) {
  const auto instruction = [](int code, unsigned to, unsigned from, int offset, std::int32_t value) {
    bpf_insn made{};
    made.code = static_cast<std::uint8_t>(code);
    made.dst_reg = to & 0xF;
    made.src_reg = from & 0xF;
    made.off = static_cast<std::int16_t>(offset);
    made.imm = value;
    return made;
  };
  return {instruction(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, offsetof(xdp_md, rx_queue_index), 0),
          instruction(BPF_LD | BPF_DW, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map),
          instruction(0, 0, 0, 0, 0),
          instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_PASS),
          instruction(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map),
          instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)};
}

FileDescriptor load_program(int map) {
  constexpr const char* kLicence = "BSD";
  const auto program = instructions(map);
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
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

}  // namespace

Result<Program> Program::load(const std::string& name, std::uint16_t queues) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_XSKMAP;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = sizeof(int);
  attributes.max_entries = queues;
  std::strcpy(attributes.map_name, "pollux");
  FileDescriptor map(bpf(BPF_MAP_CREATE, attributes));
  if (!map) return bpf_error(fmt::format("{}: cannot make a map of sockets", name), errno);
  FileDescriptor program = load_program(map.get());
  if (!program) return bpf_error(fmt::format("{}: cannot load the XDP program", name), errno);
  return Program(std::move(map), std::move(program));
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
