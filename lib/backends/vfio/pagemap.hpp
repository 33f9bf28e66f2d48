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
/// pagemap.rst). Not for a forked child, which would be told its parent's.
class Pagemap final : public PhysicalAddresses {
 public:
  /// Opens it and tries it on a page of our own. Errors: `permission_denied` (the kernel hides addresses from a process
  /// without CAP_SYS_ADMIN), `not_supported` (a kernel without it).
  [[nodiscard]] static Result<std::shared_ptr<const Pagemap>> open(const Host& host);

  explicit Pagemap(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}
  [[nodiscard]] Result<std::uint64_t> find(const std::byte* address) const override;

 private:
  Descriptor descriptor_;
};

}  // namespace pollux::vfio
