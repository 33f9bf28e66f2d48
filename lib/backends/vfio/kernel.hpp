// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/pci/paths.hpp"

namespace pollux::vfio {

/// Every system call that this backend makes, so that a test can replace the kernel. A failed call returns a negative
/// errno value.
/// Thread rule: any thread.
class Kernel {
 public:
  Kernel() = default;
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  virtual ~Kernel() = default;

  struct Mapping {
    void* address = nullptr;
    int error = 0;  ///< negative errno value; 0: mapped
  };

  /// Always close-on-exec, whatever `flags` say.
  [[nodiscard]] virtual int open(const std::string& path, int flags) = 0;
  virtual void close(int descriptor) = 0;
  /// `argument` is a structure's address or an integer, as the request defines it.
  [[nodiscard]] virtual int ioctl(int descriptor, unsigned long request, void* argument) = 0;
  [[nodiscard]] virtual Mapping mmap(void* address, std::size_t size, int protection, int flags, int descriptor,
                                     std::uint64_t offset) = 0;
  virtual void munmap(void* address, std::size_t size) = 0;
  [[nodiscard]] virtual long pread(int descriptor, void* buffer, std::size_t size, std::uint64_t offset) = 0;
  [[nodiscard]] virtual long pwrite(int descriptor, const void* buffer, std::size_t size, std::uint64_t offset) = 0;
  /// Creates an eventfd that is close-on-exec and non-blocking, with a count of 0.
  [[nodiscard]] virtual int eventfd() = 0;
  /// 1 if a read would not block now, 0 if it would.
  [[nodiscard]] virtual int readable(int descriptor) = 0;
  [[nodiscard]] virtual int getrlimit(int resource, rlimit& limit) = 0;

  [[nodiscard]] int ioctl_with_number(int descriptor, unsigned long request, unsigned long number) {
    return ioctl(descriptor, request, reinterpret_cast<void*>(number));
  }
};

/// The kernel this process runs on.
[[nodiscard]] std::shared_ptr<Kernel> system_kernel();

/// The machine that a device is opened on: its kernel, and the paths of its file systems.
struct Host {
  std::shared_ptr<Kernel> kernel;
  pci::SystemPaths paths;
};

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

/// One that came from another program. Children of fork do not get it: see SystemKernel.
[[nodiscard]] inline Descriptor adopt(const Host& host, FileDescriptor file) {
  const int number = file.release();
  FileDescriptor::close_in_children(number);
  return {host.kernel, number};
}

}  // namespace pollux::vfio
