// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "pollux/mem/dma_domain.hpp"

namespace pollux::test {

/// A machine with the physical page addresses that the test chooses, in the order of the requests.
class FakePhysical final : public PhysicalAddresses {
 public:
  explicit FakePhysical(std::vector<std::uint64_t> places) : places_(std::move(places)) {}
  Result<std::uint64_t> find(const std::byte* address) const override {
    const auto known = known_.find(address);
    if (known != known_.end()) return known->second;
    if (next_ == places_.size()) return fail(ErrorCode::permission_denied, "no more addresses", "run as root");
    return known_[address] = places_[next_++];
  }

 private:
  std::vector<std::uint64_t> places_;
  mutable std::size_t next_ = 0;
  mutable std::map<const std::byte*, std::uint64_t> known_;
};

}  // namespace pollux::test
