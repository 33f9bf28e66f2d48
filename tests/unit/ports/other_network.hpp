// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>

namespace pollux::ports {

/// A network namespace that a process without other work keeps.
class OtherNetwork {
 public:
  OtherNetwork() {
    std::array<int, 2> ready{};
    if (::pipe(ready.data()) != 0) throw std::runtime_error("no pipe");
    keeper_ = ::fork();
    if (keeper_ == 0) {
      const char entered = ::unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
      static_cast<void>(::write(ready[1], &entered, 1) == 1);
      for (;;) ::pause();
    }
    char entered = 0;
    const bool told = ::read(ready[0], &entered, 1) == 1;
    for (const int end : ready) ::close(end);
    if (!told || entered != 'y') throw std::runtime_error("no network namespace");
  }
  ~OtherNetwork() {
    ::kill(keeper_, SIGKILL);
    ::waitpid(keeper_, nullptr, 0);
  }
  OtherNetwork(const OtherNetwork&) = delete;
  OtherNetwork& operator=(const OtherNetwork&) = delete;

  /// As `ip link set NAME netns` takes it.
  [[nodiscard]] std::string pid() const { return std::to_string(keeper_); }

 private:
  pid_t keeper_ = -1;
};

}  // namespace pollux::ports
