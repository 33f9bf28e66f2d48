// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/bar_window.hpp"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstring>
#include <utility>

namespace pollux::vfio {
namespace {

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

bool covers_all(const Region& region) {
  return region.mappable.size() == 1 && region.mappable.front().offset == 0 &&
         region.mappable.front().size == region.size;
}

}  // namespace

Result<BarWindow> BarWindow::map(const Descriptor& descriptor, const std::string& device, const Region& region) {
  if (region.mappable.empty() || !region.readable || !region.writable) {
    return fail(
        ErrorCode::not_supported,
        fmt::format("{}: BAR {} cannot be mapped: it consists of I/O ports or shares a page", device, region.index));
  }
  Kernel& kernel = descriptor.kernel();
  const auto refused = [&](int error) {
    return fail_errno(ErrorCode::io_error,
                      fmt::format("{}: {} bytes of BAR {} cannot be mapped", device, region.size, region.index),
                      -error);
  };
  if (covers_all(region)) {
    const auto mapped = kernel.mmap(nullptr, region.size, kReadWrite, MAP_SHARED, descriptor.get(), region.offset);
    if (mapped.error != 0) return refused(mapped.error);
    return BarWindow(descriptor.shared_kernel(), mapped.address, region.size);
  }

  const auto placeholder = kernel.mmap(nullptr, region.size, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (placeholder.error != 0) return refused(placeholder.error);
  std::memset(placeholder.address, 0xff, region.size);
  BarWindow window(descriptor.shared_kernel(), placeholder.address, region.size);
  for (const Region::Area& area : region.mappable) {
    const auto mapped = kernel.mmap(window.base_ + area.offset, area.size, kReadWrite, MAP_SHARED | MAP_FIXED,
                                    descriptor.get(), region.offset + area.offset);
    if (mapped.error != 0) return refused(mapped.error);
  }
  return window;
}

BarWindow::BarWindow(BarWindow&& other) noexcept
    : kernel_(std::move(other.kernel_)), base_(std::exchange(other.base_, nullptr)), size_(other.size_) {}

BarWindow& BarWindow::operator=(BarWindow&& other) noexcept {
  std::swap(kernel_, other.kernel_);
  std::swap(base_, other.base_);
  std::swap(size_, other.size_);
  return *this;
}

BarWindow::~BarWindow() {
  if (base_ != nullptr) kernel_->munmap(base_, size_);
}

}  // namespace pollux::vfio
