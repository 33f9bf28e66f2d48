// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

/// bpf(2). Errors are in errno.
namespace pollux::xdp {

/// Missing in older headers.
inline constexpr std::uint32_t kHasFrags = 1U << 5;     ///< BPF_F_XDP_HAS_FRAGS, Linux 5.18
inline constexpr std::uint32_t kDeviceBound = 1U << 6;  ///< BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3

/// The name of maps and programs.
inline constexpr const char* kOwnName = "pollux";

[[nodiscard]] int bpf(bpf_cmd command, const bpf_attr& attributes);

/// Of values with keys of 32 bits.
[[nodiscard]] FileDescriptor create_map(bpf_map_type type, std::uint32_t value_size, std::uint32_t entries,
                                        std::uint32_t flags, const char* name = kOwnName);

/// `attributes` without instructions, licence and name.
[[nodiscard]] FileDescriptor load_program(bpf_attr attributes, std::span<const bpf_insn> code, const char* name,
                                          const char* licence);

struct ProgramInfo {
  std::uint32_t id = 0;
  std::string name;
  std::vector<std::uint32_t> maps;  ///< ids
};
/// Without an id: errno says why.
[[nodiscard]] ProgramInfo info_of(const FileDescriptor& program);
/// What somebody else has sent: whether it is a map of that type with values of so many bytes, and whether it is the
/// link of an XDP program to that interface.
[[nodiscard]] bool is_map(const FileDescriptor& object, bpf_map_type type, std::uint32_t value_size);
[[nodiscard]] bool is_link_to(const FileDescriptor& object, unsigned interface);
/// Needs CAP_SYS_ADMIN.
[[nodiscard]] FileDescriptor program_by_id(std::uint32_t id);

}  // namespace pollux::xdp
