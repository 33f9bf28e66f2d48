// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/bpf/calls.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace pollux::xdp {
namespace {

template <class Info>
bool ask_about(const FileDescriptor& object, Info& about) {
  bpf_attr attributes{};
  attributes.info.bpf_fd = static_cast<std::uint32_t>(object.get());
  attributes.info.info_len = sizeof about;
  attributes.info.info = reinterpret_cast<std::uintptr_t>(&about);
  return object && bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) == 0;
}

}  // namespace

int bpf(bpf_cmd command, const bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

FileDescriptor create_map(bpf_map_type type, std::uint32_t value_size, std::uint32_t entries, std::uint32_t flags,
                          const char* name) {
  bpf_attr attributes{};
  attributes.map_type = type;
  attributes.key_size = sizeof(std::uint32_t);
  attributes.value_size = value_size;
  attributes.max_entries = entries;
  attributes.map_flags = flags;
  std::strncpy(attributes.map_name, name, sizeof attributes.map_name - 1);
  return FileDescriptor(bpf(BPF_MAP_CREATE, attributes));
}

FileDescriptor load_program(bpf_attr attributes, std::span<const bpf_insn> code, const char* name,
                            const char* licence) {
  attributes.insns = reinterpret_cast<std::uintptr_t>(code.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(code.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(licence);
  std::strncpy(attributes.prog_name, name, sizeof attributes.prog_name - 1);
  return FileDescriptor(bpf(BPF_PROG_LOAD, attributes));
}

ProgramInfo info_of(const FileDescriptor& program) {
  bpf_prog_info about{};
  if (!ask_about(program, about)) return {};
  ProgramInfo info{.id = about.id, .name = about.name, .maps = std::vector<std::uint32_t>(about.nr_map_ids)};
  about = {};
  about.nr_map_ids = static_cast<std::uint32_t>(info.maps.size());
  about.map_ids = reinterpret_cast<std::uintptr_t>(info.maps.data());
  return ask_about(program, about) ? info : ProgramInfo{};
}

bool is_map(const FileDescriptor& object, bpf_map_type type, std::uint32_t value_size) {
  bpf_map_info about{};
  return ask_about(object, about) && about.type == type && about.value_size == value_size;
}

bool is_link_to(const FileDescriptor& object, unsigned interface) {
  bpf_link_info about{};
  return ask_about(object, about) && about.type == BPF_LINK_TYPE_XDP && about.xdp.ifindex == interface;
}

FileDescriptor program_by_id(std::uint32_t id) {
  bpf_attr attributes{};
  attributes.prog_id = id;
  return FileDescriptor(bpf(BPF_PROG_GET_FD_BY_ID, attributes));
}

}  // namespace pollux::xdp
