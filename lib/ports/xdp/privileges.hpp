// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace pollux::xdp {

/// What to do if the kernel refuses a socket, a map or a program. Without CAP_PERFMON it lets no program compute with
/// addresses. CAP_IPC_LOCK is for pinning more than RLIMIT_MEMLOCK.
inline constexpr const char* kPrivilegesHint =
    "run as root, or give the program the rights: setcap "
    "cap_net_raw,cap_net_admin,cap_bpf,cap_perfmon,cap_ipc_lock+ep PROGRAM, or let a helper do it: "
    "xdp:NAME?helper=/run/pollux-xdp.sock, and as root: pollux xdp-helper";

}  // namespace pollux::xdp
