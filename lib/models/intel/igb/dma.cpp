// SPDX-License-Identifier: BSD-3-Clause
// Accesses that span mappings which are adjacent for the card and not in this process, as a virtual IOMMU makes them.
#include "models/intel/igb/dma.hpp"

#include <algorithm>

namespace pollux::models::igb {
namespace {

/// The bytes of the access from `done` on that are in one mapping.
std::size_t next_part(const ModelDma& memory, std::uint64_t iova, std::size_t done, std::size_t length) noexcept {
  return std::clamp<std::size_t>(memory.contiguous(iova + done, length - done), 1, length - done);
}

}  // namespace

// An access that wraps round at the end of the address space is refused.
const std::byte* Dma::gather(std::uint64_t iova, std::size_t length) noexcept {
  if (length > kMaxRead || length - 1 > ~iova) return counted(static_cast<const std::byte*>(nullptr));
  for (std::size_t done = 0; done < length;) {
    const std::size_t part = next_part(*port_, iova, done, length);
    const std::byte* const memory = counted(port_->translate_for_read(iova + done, part));
    if (memory == nullptr) return nullptr;
    std::copy_n(memory, part, gathered_.get() + done);
    done += part;
  }
  return gathered_.get();
}

// Nothing is written if one part cannot be.
bool Dma::scatter(ModelAccess what, std::uint32_t queue, std::uint64_t iova,
                  std::span<const std::byte> bytes) noexcept {
  if (bytes.size() - 1 > ~iova) return counted(static_cast<std::byte*>(nullptr)) != nullptr;
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t part = next_part(*port_, iova, done, bytes.size());
    if (counted(port_->translate(iova + done, part)) == nullptr) return false;
    done += part;
  }
  DmaInterceptor* const between = port_->interceptor();
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t part = next_part(*port_, iova, done, bytes.size());
    const ModelWrite write{what, queue, iova + done, bytes.subspan(done, part)};
    if (between != nullptr) {
      between->write(*port_, write);
    } else {
      static_cast<void>(port_->store(write));
    }
    done += part;
  }
  return true;
}

}  // namespace pollux::models::igb
