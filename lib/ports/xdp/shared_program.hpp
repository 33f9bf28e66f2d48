// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"
#include "pollux/base/error.hpp"
#include "ports/xdp/kernel_side.hpp"

struct bpf_insn;  // libpcap has another one in <linux/bpf.h>'s place

/// Programs beside those of others on one interface, by libxdp's protocol: xdp-tools, lib/libxdp/protocol.org. Such
/// programs stay when their process has ended. So each program of Pollux has a folder beside the dispatchers, named
/// after its map of sockets, which the living process has locked.
namespace pollux::xdp {

/// Locks the folder of the program whose map of sockets has this id, for as long as the descriptor, or a copy of it in
/// another process, is open. Errors, with `name` for messages: not_supported (there is no bpf file system),
/// permission_denied, io_error.
[[nodiscard]] Result<FileDescriptor> own_share(const std::string& name, std::uint32_t sockets);

/// Loads `code` and attaches it, instead of an earlier program with the same map of sockets, if there is one, and
/// without a moment between them. `takes_chains`: also frames in several buffers. Returns 0 or errno: EEXIST if a
/// program is attached that does not share, or shares in the other place.
[[nodiscard]] int attach_shared(unsigned interface, Attach where, std::span<const bpf_insn> code, std::uint32_t sockets,
                                bool takes_chains = true);

/// The ids of Pollux's programs on the interface whose processes have ended.
[[nodiscard]] std::vector<std::uint32_t> find_remains(unsigned interface);

/// Removes them; the others stay. Also what is left of interfaces that are gone. Without any, and without a bpf file
/// system, it does nothing. Returns 0 or errno.
int remove_remains(unsigned interface);

}  // namespace pollux::xdp
