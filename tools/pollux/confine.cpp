// SPDX-License-Identifier: BSD-3-Clause
#include "confine.hpp"

#include <cap-ng.h>
#include <seccomp.h>
#include <cerrno>
#include <memory>
#include <vector>

namespace pollux::tool {
namespace {

constexpr int kForbidden[] = {SCMP_SYS(execve),
                              SCMP_SYS(execveat),
                              SCMP_SYS(ptrace),
                              SCMP_SYS(process_vm_readv),
                              SCMP_SYS(process_vm_writev),
                              SCMP_SYS(open_by_handle_at),
                              SCMP_SYS(perf_event_open),
                              SCMP_SYS(bpf),
                              SCMP_SYS(mount),
                              SCMP_SYS(umount2),
                              SCMP_SYS(pivot_root),
                              SCMP_SYS(chroot),
                              SCMP_SYS(setns),
                              SCMP_SYS(unshare),
                              SCMP_SYS(keyctl),
                              SCMP_SYS(add_key),
                              SCMP_SYS(request_key),
                              SCMP_SYS(init_module),
                              SCMP_SYS(finit_module),
                              SCMP_SYS(delete_module),
                              SCMP_SYS(kexec_load),
                              SCMP_SYS(kexec_file_load),
                              SCMP_SYS(reboot),
                              SCMP_SYS(swapon),
                              SCMP_SYS(swapoff),
                              SCMP_SYS(userfaultfd)};

tl::unexpected<Error> failed(const char* what) {
  return fail(ErrorCode::io_error, what, "report this with the version of the kernel; a container may forbid it");
}

bool drop_capabilities(std::span<const unsigned> kept) {
  std::vector<unsigned> there;
  for (const unsigned capability : kept) {
    if (::capng_have_capability(CAPNG_EFFECTIVE, capability) != 0) there.push_back(capability);
  }
  ::capng_clear(CAPNG_SELECT_CAPS);
  for (const unsigned capability : there) {
    constexpr auto kBoth = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
    if (::capng_update(CAPNG_ADD, kBoth, capability) != 0) return false;
  }
  return ::capng_apply(CAPNG_SELECT_CAPS) == 0;
}

/// The filter also sets "no new privileges", so that no program gives capabilities back.
bool forbid_calls() {
  const std::unique_ptr<void, void (*)(void*)> filter(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release);
  if (filter == nullptr) return false;
  for (const int call : kForbidden) {
    if (::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0) != 0) return false;
  }
  return ::seccomp_load(filter.get()) == 0;
}

}  // namespace

Result<void> confine(std::span<const unsigned> kept) {
  if (!drop_capabilities(kept)) return failed("the capabilities of this process cannot be given up");
  if (!forbid_calls()) return failed("the system calls of this process cannot be restricted");
  return {};
}

}  // namespace pollux::tool
