// SPDX-License-Identifier: BSD-3-Clause
#include "common/standard_streams.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <system_error>

namespace pollux::tools {

bool secure_standard_streams() {
  bool has_output = true;
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    if (descriptor == STDOUT_FILENO) has_output = false;
    // open() returns the lowest free descriptor, which is this one: those below are open.
    static_cast<void>(::open("/dev/null", O_RDWR));
  }
  return has_output;
}

int write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written < 0 && errno != EINTR) return errno;
    if (written > 0) text.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

int flush_output() {
  errno = 0;
  std::cout.flush();
  const bool flushed = std::fflush(stdout) == 0 && std::cout.good() && std::ferror(stdout) == 0;
  if (flushed) return 0;
  if (errno != 0) return errno;
  // An earlier write failed. Another one shows the reason; the output lacks a part in any case.
  return ::write(STDOUT_FILENO, "\n", 1) < 0 ? errno : EIO;
}

std::string cannot_write(int error) {
  return "cannot write to standard output: " + std::generic_category().message(error);
}

}  // namespace pollux::tools
