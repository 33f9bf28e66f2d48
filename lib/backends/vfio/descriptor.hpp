// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <utility>

#include "backends/vfio/kernel.hpp"

namespace pollux::vfio {

/// Owns a file descriptor of a Kernel.
class Descriptor {
 public:
  Descriptor() = default;
  Descriptor(std::shared_ptr<Kernel> kernel, int number) : kernel_(std::move(kernel)), number_(number) {}
  Descriptor(Descriptor&& other) noexcept
      : kernel_(std::move(other.kernel_)), number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(kernel_, other.kernel_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() { reset(); }

  void reset() noexcept {
    if (number_ >= 0) kernel_->close(std::exchange(number_, -1));
  }
  [[nodiscard]] int get() const noexcept { return number_; }
  [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }
  [[nodiscard]] Kernel& kernel() const noexcept { return *kernel_; }
  [[nodiscard]] const std::shared_ptr<Kernel>& shared_kernel() const noexcept { return kernel_; }

  /// An ioctl of this descriptor; negative errno on failure.
  template <class Structure>
  [[nodiscard]] int ioctl(unsigned long request, Structure* argument) const {
    return kernel_->ioctl(number_, request, argument);
  }

 private:
  std::shared_ptr<Kernel> kernel_;
  int number_ = -1;
};

}  // namespace pollux::vfio
