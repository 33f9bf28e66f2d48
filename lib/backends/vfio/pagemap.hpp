// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/dma_domain.hpp"

namespace pollux::vfio {

/// Physical addresses of this process's pages, from /proc/self/pagemap (Linux, Documentation/admin-guide/mm/
/// pagemap.rst). Not for a forked child: the open file still describes the parent's pages.
class Pagemap final : public PhysicalAddresses {
 public:
  /// Opens the file and looks up one page as a test. Errors: `permission_denied` (the kernel hides addresses from a
  /// process without CAP_SYS_ADMIN), `not_supported` (a kernel without the file).
  [[nodiscard]] static Result<std::shared_ptr<const Pagemap>> open(const Host& host);

  explicit Pagemap(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  [[nodiscard]] Result<std::uint64_t> find(const std::byte* address) const override;

 private:
  Descriptor descriptor_;
};

}  // namespace pollux::vfio
