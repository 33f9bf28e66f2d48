// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/pagemap.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

namespace pollux::vfio {
namespace {

constexpr std::uint64_t kPresent = std::uint64_t{1} << 63U;
constexpr std::uint64_t kFrameNumber = (std::uint64_t{1} << 55U) - 1;

tl::unexpected<Error> hidden() {
  return fail(
      ErrorCode::permission_denied,
      "a device without an IOMMU needs physical addresses, but the kernel hides them from this process: it lacks "
      "CAP_SYS_ADMIN",
      "run as root");
}

}  // namespace

Result<std::shared_ptr<const Pagemap>> Pagemap::open(const Host& host) {
  const std::string path = host.paths.proc / "self/pagemap";
  const int opened = host.kernel->open(path, O_RDONLY);
  if (opened == -EACCES || opened == -EPERM) return hidden();
  if (opened < 0) {
    return fail_errno(ErrorCode::not_supported,
                      fmt::format("{} cannot be opened; it is needed for physical addresses", path), -opened,
                      "mount /proc, or use a kernel with CONFIG_PROC_PAGE_MONITOR");
  }
  auto pagemap = std::make_shared<const Pagemap>(Descriptor(host.kernel, opened));
  const std::byte here{};
  if (auto found = pagemap->find(&here); !found) return pass_on(std::move(found));
  return pagemap;
}

Result<std::uint64_t> Pagemap::find(const std::byte* address) const {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  std::uint64_t entry = 0;
  const long size = descriptor_.kernel().pread(descriptor_.get(), &entry, sizeof entry, number / page * sizeof entry);
  const auto what = [&] { return fmt::format("the physical address of {} cannot be read", fmt::ptr(address)); };
  if (size < 0) return fail_errno(ErrorCode::io_error, what(), static_cast<int>(-size));
  if (size != sizeof entry || (entry & kPresent) == 0) {
    return fail(ErrorCode::io_error, what() + ": no page is present");
  }
  const std::uint64_t frame = entry & kFrameNumber;
  if (frame == 0) return hidden();
  return frame * page + number % page;
}

}  // namespace pollux::vfio
