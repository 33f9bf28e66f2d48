// SPDX-License-Identifier: BSD-3-Clause
#include "confine/confine.hpp"

#include <cap-ng.h>
#include <sys/prctl.h>

#include <vector>

#include "confine/paths.hpp"
#include "confine/system_calls.hpp"

namespace pollux::tool {
namespace {

tl::unexpected<Error> failed(const char* what) {
  return fail(ErrorCode::io_error, what, "report this with the version of the kernel; a container may forbid it");
}

bool drop_capabilities(const std::vector<unsigned>& kept) {
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

}  // namespace

Result<void> confine(const Confinement& needed, const LogCallback& log) {
  if (!drop_capabilities(needed.capabilities)) return failed("the capabilities of this process cannot be given up");
  // So that no program gives capabilities back. Landlock and seccomp need it, too.
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("this process cannot refuse new privileges");
  if (auto restricted = restrict_paths(needed, log); !restricted) return restricted;
  if (!restrict_calls(needed)) return failed("the system calls of this process cannot be restricted");
  return {};
}

}  // namespace pollux::tool
