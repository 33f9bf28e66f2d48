// SPDX-License-Identifier: BSD-3-Clause
// Accesses that span mappings which are adjacent for the card and not in this process, as a virtual IOMMU makes them.
#include "models/intel/igb/dma.hpp"

#include <algorithm>

namespace pollux::models::igb {

const std::byte* Dma::gather(std::uint64_t iova, std::size_t length) noexcept {
  if (length > kMaxRead) return counted(static_cast<const std::byte*>(nullptr));
  for (std::size_t done = 0; done < length;) {
    const std::size_t part = port_->contiguous(iova + done, length - done);
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
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t part = port_->contiguous(iova + done, bytes.size() - done);
    if (counted(port_->translate(iova + done, part)) == nullptr) return false;
    done += part;
  }
  DmaInterceptor* const between = port_->interceptor();
  for (std::size_t done = 0; done < bytes.size();) {
    const std::size_t part = port_->contiguous(iova + done, bytes.size() - done);
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
