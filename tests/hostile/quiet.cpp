// SPDX-License-Identifier: BSD-3-Clause
// A program with two ports and telemetry that means well and waits for SIGTERM: it takes no processor time from those
// that it is beside.
#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "pollux/pollux.hpp"

int main() {
  sigset_t end;
  sigemptyset(&end);
  sigaddset(&end, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &end, nullptr);
  pollux::Context context(pollux::ContextOptions{.control_thread = true});
  const auto left = pollux::open(context, "sim:0");
  const auto right = pollux::open(context, "sim:1");
  const auto telemetry = pollux::Telemetry::create(context);
  if (!left || !right || !telemetry) return std::fputs("it cannot start\n", stderr), 1;
  int received = 0;
  return sigwait(&end, &received);
}
