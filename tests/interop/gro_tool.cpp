// SPDX-License-Identifier: BSD-3-Clause
// "gro_tool NAMESPACE_A NAMESPACE_B [--without-gro]" makes the TAP interfaces plxa and plxb, each in the network
// namespace of a file such as /proc/1/ns/net, and forwards from plxa through GRO to plxb until it gets a signal. A flow
// ends when no frame came for 30 ms.
#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string_view>

#include "base/file_descriptor.hpp"
#include "pollux/pollux.hpp"
#include "pollux/runtime/gro.hpp"

namespace {

using namespace pollux;

volatile std::sig_atomic_t stopped = 0;

Result<Port> open_in(Context& context, const char* name_space, const char* uri, const Settings& config) {
  const FileDescriptor file(::open(name_space, O_RDONLY | O_CLOEXEC));
  if (file.get() < 0 || ::setns(file.get(), CLONE_NEWNET) != 0) {
    return tl::unexpected(Error{ErrorCode::io_error, fmt::format("cannot enter {}", name_space), "run this as root"});
  }
  return open(context, uri, config);
}

int failed(const Error& error) {
  fmt::print(stderr, "gro_tool: {}\n", error.message());
  return 1;
}

/// Forwards from `in` to `out`.
class Forwarder {
 public:
  Forwarder(Context& context, RxQueue& in, TxQueue& out, bool merges)
      : clock_(context.clock()), poller_(context), in_(in), out_(out), merges_(merges) {}

  Result<void> run() {
    auto added = poller_.add(in_, [this](Burst<64>& burst) { receive(burst); });
    if (!added) return tl::unexpected(added.error());
    while (stopped == 0) {
      auto frames = poller_.run_once(clock_.now() + std::chrono::milliseconds(10));
      if (!frames) return tl::unexpected(frames.error());
      if (gro_.held() != 0 && clock_.now() >= flush_at_) flush();
    }
    return {};
  }

 private:
  void receive(Burst<64>& burst) {
    if (merges_) gro_.receive(burst);
    flush_at_ = clock_.now() + std::chrono::milliseconds(30);
    send(burst);
  }
  void flush() {
    Burst<64> burst;
    gro_.flush(burst);
    send(burst);
  }
  void send(Burst<64>& burst) {
    out_.tx_burst(burst);
    burst.drop(refused_);
  }

  Clock& clock_;
  Poller poller_;
  RxQueue& in_;
  TxQueue& out_;
  bool merges_;
  Gro gro_;
  Time flush_at_{};
  DropCounter refused_{"tx_refused"};
};

int run(const char* from, const char* to, bool merges) {
  Context context{{.huge_pages = HugePages::never}};
  Settings config{.mtu = 9000};
  config.promiscuous = true;
  auto in = open_in(context, from, "tap:plxa", config);
  if (!in) return failed(in.error());
  auto out = open_in(context, to, "tap:plxb", config);
  if (!out) return failed(out.error());
  fmt::print("forwarding\n");
  std::fflush(stdout);
  if (auto done = Forwarder(context, in->rx(0), out->tx(0), merges).run(); !done) return failed(done.error());
  for (Port* port : {&*in, &*out}) {
    for (const auto& drop : port->stats().drops) {
      if (drop.value != 0) fmt::print("{} {}\n", drop.name, drop.value);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const bool without = argc == 4 && std::string_view(argv[3]) == "--without-gro";
  if (argc != 3 && !without) {
    fmt::print(stderr, "usage: gro_tool NAMESPACE_A NAMESPACE_B [--without-gro]\n");
    return 2;
  }
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { stopped = 1; });
  return run(argv[1], argv[2], !without);
}
