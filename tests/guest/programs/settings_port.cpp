// SPDX-License-Identifier: BSD-3-Clause
// settings_port PORT FILE: a port with the settings in the file, in the form of settings_text.hpp, until SIGINT.
#include <pthread.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "pollux/pollux.hpp"

namespace {

using namespace pollux;

Result<Port> open_with(Context& context, const char* uri, const std::string& text) {
  const auto settings = parse_settings(text);
  if (!settings) return tl::unexpected<Error>(settings.error());
  auto port = open_unconfigured(context, uri);
  if (!port) return port;
  auto done = port->change([&](Settings& now) { now = *settings; });
  if (done) done = port->start();
  if (!done) return tl::unexpected<Error>(done.error());
  if (const auto link = port->wait_for_link(std::chrono::seconds(10)); !link)
    return tl::unexpected<Error>(link.error());
  return port;
}

}  // namespace

int main(int /*count*/, char** arguments) {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupt, nullptr);
  std::ifstream file(arguments[2]);
  Context context(ContextOptions{.control_thread = true});
  const auto port = open_with(context, arguments[1], std::string(std::istreambuf_iterator<char>(file), {}));
  if (!port) return std::fprintf(stderr, "%s\n", port.error().message().c_str()), 1;
  std::puts("ready");
  std::fflush(stdout);
  int received = 0;
  return sigwait(&interrupt, &received);
}
