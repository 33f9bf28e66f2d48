// SPDX-License-Identifier: BSD-3-Clause
#include "backends/vfio/kernel.hpp"

#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "base/file_descriptor.hpp"
#include "base/own_process.hpp"

namespace pollux::vfio {
namespace {

int result_of(int value) { return value < 0 ? -errno : value; }

/// A card is free again only when no process has one of its descriptors or mappings, so forked children get neither.
int made(int descriptor) {
  if (descriptor < 0) return -errno;
  const int number = FileDescriptor(descriptor).release();
  FileDescriptor::close_in_children(number);
  return number;
}

class SystemKernel final : public Kernel {
 public:
  int open(const std::string& path, int flags) override { return made(::open(path.c_str(), flags | O_CLOEXEC)); }

  void close(int descriptor) override {
    if (process_.is_here()) const FileDescriptor closed(descriptor);
  }

  int ioctl(int descriptor, unsigned long request, void* argument) override {
    const int result = ::ioctl(descriptor, request, argument);
    return request == VFIO_GROUP_GET_DEVICE_FD ? made(result) : result_of(result);
  }

  Mapping mmap(void* address, std::size_t size, int protection, int flags, int descriptor,
               std::uint64_t offset) override {
    void* mapped = ::mmap(address, size, protection, flags, descriptor, static_cast<off_t>(offset));
    if (mapped == MAP_FAILED) return {nullptr, -errno};
    static_cast<void>(::madvise(mapped, size, MADV_DONTFORK));
    return {mapped, 0};
  }

  void munmap(void* address, std::size_t size) override {
    if (process_.is_here()) ::munmap(address, size);
  }

  long pread(int descriptor, void* buffer, std::size_t size, std::uint64_t offset) override {
    const ssize_t done = ::pread(descriptor, buffer, size, static_cast<off_t>(offset));
    return done < 0 ? -errno : done;
  }

  long pwrite(int descriptor, const void* buffer, std::size_t size, std::uint64_t offset) override {
    const ssize_t done = ::pwrite(descriptor, buffer, size, static_cast<off_t>(offset));
    return done < 0 ? -errno : done;
  }

  int eventfd() override { return made(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

  int readable(int descriptor) override {
    pollfd asked{descriptor, POLLIN, 0};
    return result_of(::poll(&asked, 1, 0));
  }

  int getrlimit(int resource, rlimit& limit) override {
    return result_of(::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit));
  }

 private:
  OwnProcess process_;
};

}  // namespace

std::shared_ptr<Kernel> system_kernel() { return std::make_shared<SystemKernel>(); }

}  // namespace pollux::vfio
