// SPDX-License-Identifier: BSD-3-Clause
// A program that uses the installed library: it sends one frame from an in-process card to the card at the other end of
// the wire.
#include <pollux/pollux.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>

// The program's own build type does not matter: inline code has checks if and only if the library was built with them.
static_assert(POLLUX_CHECKED == EXPECTED_CHECKED);

namespace {

pollux::Result<bool> send_one_across() {
  using namespace std::chrono_literals;
  pollux::Context context;
  auto pool = pollux::Mempool::create(context, {.count = 2048});
  if (!pool) return pollux::pass_on(std::move(pool));
  auto near = pollux::open(context, "sim:0", {.rx = {.pool = &*pool}});
  if (!near) return pollux::pass_on(std::move(near));
  auto far = pollux::open(context, "sim:1", {.rx = {.pool = &*pool}, .promiscuous = true});
  if (!far) return pollux::pass_on(std::move(far));
  for (pollux::Port* port : {&*near, &*far}) {
    if (auto link = port->wait_for_link(10s); !link) return pollux::pass_on(std::move(link));
  }

  pollux::MbufPtr frame = pool->allocate();
  if (frame == nullptr) return false;
  std::uint8_t* const bytes = frame->append(60);
  if (bytes == nullptr) return false;
  std::memset(bytes, 0x02, 60);

  pollux::Burst<8> burst;
  if (!burst.push(frame)) return false;
  near->tx(0).tx_burst(burst);
  pollux::Burst<8> arrived;
  const auto received =
      pollux::wait_until(context.clock(), "the frame's arrival", 5s, [&] { return far->rx(0).rx_burst(arrived) == 1; });
  if (!received) return tl::unexpected(received.error());
  return arrived[0].packet_length() == 60;
}

}  // namespace

int main() {
  const auto sent = send_one_across();
  if (!sent) {
    std::fprintf(stderr, "%s\n", sent.error().message().c_str());
    return 1;
  }
  std::puts(*sent ? "one frame arrived" : "the frame did not arrive");
  return *sent ? 0 : 1;
}
