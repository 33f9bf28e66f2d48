// SPDX-License-Identifier: BSD-3-Clause
#include "base/file_descriptor.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace pollux {
namespace {

// What a program with closed standard streams prints must not get into files, sockets or devices.
TEST(FileDescriptorDeathTest, IsNoneOfTheStandardStreams) {
  const auto open_without_streams = [] {
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::close(stream);
    const FileDescriptor first(::memfd_create("first", MFD_CLOEXEC));
    const FileDescriptor second(::memfd_create("second", MFD_CLOEXEC));
    const bool usable = ::write(first.get(), "a", 1) == 1 && ::write(second.get(), "b", 1) == 1;
    ::_exit(usable && first.get() > STDERR_FILENO && second.get() > STDERR_FILENO ? 0 : 1);
  };
  EXPECT_EXIT(open_without_streams(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pollux
