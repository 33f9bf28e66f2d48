// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "context_fixture.hpp"
#include "fake_domain.hpp"
#include "unit/mem/sizes.hpp"

namespace pollux::test {

/// Page-aligned memory of the application.
class Foreign {
 public:
  explicit Foreign(std::size_t size)
      : bytes_(
            static_cast<std::byte*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)),
            size) {}
  Foreign(const Foreign&) = delete;
  Foreign& operator=(const Foreign&) = delete;
  ~Foreign() { ::munmap(bytes_.data(), bytes_.size()); }
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

struct DomainFixture : ContextFixture {
  explicit DomainFixture(ContextOptions options = ordinary()) : ContextFixture(std::move(options)) {}

  std::shared_ptr<FakeDomain> attach(std::vector<IovaRange> reach = {{0, ~std::uint64_t{0}}}) {
    auto domain = std::make_shared<FakeDomain>(std::move(reach));
    const auto attached = state->attach(domain);
    EXPECT_TRUE(attached) << attached.error().message();
    return domain;
  }
  DmaMemory allocate(std::size_t size) {
    auto memory = state->allocate({.size = size, .purpose = "test"});
    EXPECT_TRUE(memory) << memory.error().message();
    return memory ? std::move(*memory) : DmaMemory();
  }
};

}  // namespace pollux::test
