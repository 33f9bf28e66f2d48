// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "backends/vfio/descriptor.hpp"
#include "pollux/base/error.hpp"

namespace pollux::vfio {

/// One of a device's interrupt indexes: MSI-X, error or removal request. Each vector signals an eventfd.
/// Does not own the device's descriptor, which outlives this object. The destructor disables the index.
class Interrupts {
 public:
  /// Queries how many vectors index `index` has. Enables none. An index that the device lacks has 0 vectors.
  [[nodiscard]] static Result<Interrupts> probe(const Descriptor& device, const std::string& name, std::uint32_t index);

  Interrupts(Interrupts&& other) noexcept;
  Interrupts& operator=(Interrupts&&) = delete;
  ~Interrupts();

  [[nodiscard]] std::uint32_t available() const noexcept { return available_; }
  /// Enables vectors 0 to `count` - 1 in one call, after it has disabled all of them. A `count` of 0 only disables.
  /// Errors: `invalid_argument` above `available`, `io_error`. After an error no vector is enabled.
  [[nodiscard]] Result<void> enable(std::uint32_t count);
  [[nodiscard]] std::span<const int> events() const noexcept { return numbers_; }
  /// The first vector's event; -1 while it is disabled.
  [[nodiscard]] int event() const noexcept { return numbers_.empty() ? -1 : numbers_.front(); }

 private:
  Interrupts(const Descriptor& device, std::string name, std::uint32_t index, std::uint32_t available)
      : device_(&device), name_(std::move(name)), index_(index), available_(available) {}
  [[nodiscard]] Result<void> disable();
  [[nodiscard]] int set(std::uint32_t flags, std::span<const int> events) const;

  const Descriptor* device_;
  std::string name_;
  std::uint32_t index_;
  std::uint32_t available_;
  std::vector<Descriptor> events_;
  std::vector<int> numbers_;
};

}  // namespace pollux::vfio
