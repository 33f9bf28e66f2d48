// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "pollux/pci/paths.hpp"

namespace pollux::vfio {

/// Every system call of this backend, so that a test can be the kernel. What fails returns a negative errno value.
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
  /// `argument` is what the request wants: a structure's address, or an integer in its place.
  [[nodiscard]] virtual int ioctl(int descriptor, unsigned long request, void* argument) = 0;
  [[nodiscard]] virtual Mapping mmap(void* address, std::size_t size, int protection, int flags, int descriptor,
                                     std::uint64_t offset) = 0;
  virtual void munmap(void* address, std::size_t size) = 0;
  [[nodiscard]] virtual long pread(int descriptor, void* buffer, std::size_t size, std::uint64_t offset) = 0;
  [[nodiscard]] virtual long pwrite(int descriptor, const void* buffer, std::size_t size, std::uint64_t offset) = 0;
  /// Close-on-exec, not blocking, counting from 0.
  [[nodiscard]] virtual int eventfd() = 0;
  /// 1 if a read would not block now, 0 if it would.
  [[nodiscard]] virtual int readable(int descriptor) = 0;
  [[nodiscard]] virtual int getrlimit(int resource, rlimit& limit) = 0;

  [[nodiscard]] int ioctl_with_number(int descriptor, unsigned long request, unsigned long number) {
    return ioctl(descriptor, request, reinterpret_cast<void*>(number));
  }
};

/// The machine's own.
[[nodiscard]] std::shared_ptr<Kernel> system_kernel();

/// The machine that a device is opened on: its kernel, and where its file systems are.
struct Host {
  std::shared_ptr<Kernel> kernel;
  pci::SystemPaths paths;
};

}  // namespace pollux::vfio
