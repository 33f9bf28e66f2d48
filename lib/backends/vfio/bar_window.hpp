// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "backends/vfio/region.hpp"
#include "pollux/device/bar.hpp"

namespace pollux::vfio {

/// A BAR mapped into this process's address space. Older kernels do not allow the MSI-X table to be mapped. Such areas
/// are ordinary memory that reads all ones, like a device that does not respond.
class BarWindow {
 public:
  /// Error `not_supported` for a region that cannot be mapped at all, such as I/O ports.
  [[nodiscard]] static Result<BarWindow> map(const Descriptor& descriptor, const std::string& device,
                                             const Region& region);

  BarWindow(BarWindow&& other) noexcept;
  BarWindow& operator=(BarWindow&& other) noexcept;
  ~BarWindow();

  [[nodiscard]] Bar bar() const noexcept { return {base_, size_}; }

 private:
  BarWindow(std::shared_ptr<Kernel> kernel, void* base, std::size_t size)
      : kernel_(std::move(kernel)), base_(static_cast<std::uint8_t*>(base)), size_(size) {}

  std::shared_ptr<Kernel> kernel_;
  std::uint8_t* base_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pollux::vfio
