// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/locked_memory.hpp"

#include <fcntl.h>
#include <linux/capability.h>

#include <array>
#include <charconv>
#include <string_view>

#include "backends/vfio/descriptor.hpp"

namespace pollux::vfio {
namespace {

std::string read_status(const Host& host) {
  const int opened = host.kernel->open(host.paths.proc / "self/status", O_RDONLY);
  if (opened < 0) return {};
  const Descriptor file(host.kernel, opened);
  std::array<char, 8192> text{};
  const long size = host.kernel->pread(opened, text.data(), text.size(), 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : std::string();
}

// The number after `name` (a line break, a key and a colon) in `status`; 0 if the key is missing.
std::uint64_t field(std::string_view status, std::string_view name, int base) {
  std::size_t at = status.find(name);
  if (at == std::string_view::npos) return 0;
  at = status.find_first_not_of(" \t", at + name.size());
  if (at == std::string_view::npos) return 0;
  std::uint64_t number = 0;
  std::from_chars(status.data() + at, status.data() + status.size(), number, base);
  return number;
}

}  // namespace

LockedMemory read_locked_memory(const Host& host) {
  LockedMemory memory;
  rlimit limit{};
  if (host.kernel->getrlimit(RLIMIT_MEMLOCK, limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    memory.limit = limit.rlim_cur;
  }
  const std::string status = read_status(host);
  memory.locked = field(status, "\nVmLck:", 10) * 1024;
  memory.exempt = (field(status, "\nCapEff:", 16) & (std::uint64_t{1} << CAP_IPC_LOCK)) != 0;
  return memory;
}

}  // namespace pollux::vfio
