// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::test {

/// A domain that records what is mapped into it and fails when told to.
class FakeDomain final : public DmaDomain {
 public:
  FakeDomain() = default;
  explicit FakeDomain(std::vector<IovaRange> reach) : reach_(std::move(reach)) {}

  [[nodiscard]] std::string_view name() const override { return label; }
  [[nodiscard]] std::vector<IovaRange> usable_iova() const override { return reach_; }
  [[nodiscard]] bool wants_locked_pages() const override { return wants_lock; }

  [[nodiscard]] std::shared_ptr<const PhysicalAddresses> physical_addresses() const override { return physical; }

  [[nodiscard]] Result<void> map(const DmaSegment& segment) override {
    ++map_calls;
    if (map_calls == fail_map_call) return fail(ErrorCode::mapping_limit, label + " takes no more", "raise its limit");
    for (const DmaSegment& held : mapped) {
      if (segment.iova < held.iova + held.size && held.iova < segment.iova + segment.size) {
        return fail(ErrorCode::io_error, label + ": mapped twice");
      }
    }
    mapped.push_back(segment);
    return {};
  }

  [[nodiscard]] Result<void> unmap(const DmaSegment& segment) override {
    ++unmap_calls;
    if (fail_unmap) return fail(ErrorCode::io_error, label + " cannot unmap");
    const auto found = std::find_if(mapped.begin(), mapped.end(), [&](const DmaSegment& held) {
      return held.iova == segment.iova && held.size == segment.size && held.address == segment.address;
    });
    if (found == mapped.end()) return fail(ErrorCode::io_error, label + ": unmapped what was not mapped");
    mapped.erase(found);
    return {};
  }

  /// The IOVA of `address` in this domain; DmaMemory::kNoIova if it is not mapped.
  [[nodiscard]] std::uint64_t iova_of(const std::byte* address) const {
    for (const DmaSegment& held : mapped) {
      if (address >= held.address && address < held.address + held.size) {
        return held.iova + static_cast<std::uint64_t>(address - held.address);
      }
    }
    return ~std::uint64_t{0};
  }

  std::string label = "fake domain";
  std::shared_ptr<const PhysicalAddresses> physical;
  bool wants_lock = false;
  bool fail_unmap = false;
  int fail_map_call = 0;  ///< the call of `map`, counted from 1, that fails; 0: none
  int map_calls = 0;
  int unmap_calls = 0;
  std::vector<DmaSegment> mapped;

 private:
  std::vector<IovaRange> reach_{{0, ~std::uint64_t{0}}};
};

}  // namespace pollux::test
