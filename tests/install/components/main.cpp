// SPDX-License-Identifier: BSD-3-Clause
// Sends one frame from one end of a ring, or of the wire between two in-process cards, to the other end.
#include <pollux/mem/burst.hpp>
#include <pollux/mem/context.hpp>
#include <pollux/mem/mempool.hpp>
#include <pollux/open.hpp>

#ifdef WITH_LABORATORY
#include <pollux/laboratory.hpp>
#endif

#include <chrono>
#include <cstdio>
#include <cstring>

namespace {

pollux::Result<bool> send_one_across(pollux::Context& context, const char* from, const char* to) {
  using namespace std::chrono_literals;
  auto near = pollux::open(context, from);
  if (!near) return pollux::pass_on(std::move(near));
  auto far = pollux::open(context, to, {.promiscuous = true});
  if (!far) return pollux::pass_on(std::move(far));
  for (pollux::Port* port : {&*near, &*far}) {
    if (auto link = port->wait_for_link(10s); !link) return pollux::pass_on(std::move(link));
  }
  pollux::MbufPtr frame = near->rx_pool()->allocate();
  if (frame == nullptr) return false;
  std::memset(frame->append(60), 0x02, 60);
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
  pollux::Context context;
#ifdef WITH_LABORATORY
  pollux::add_laboratory(context);
  const auto sent = send_one_across(context, "sim:0", "sim:1");
#else
  const auto sent = send_one_across(context, "ring:a:0", "ring:a:1");
  const auto absent = pollux::open(context, "sim:0");
  std::puts(absent ? "sim: is there" : absent.error().message().c_str());
#endif
  if (!sent) return std::fprintf(stderr, "%s\n", sent.error().message().c_str()), 1;
  std::puts(*sent ? "one frame arrived" : "the frame did not arrive");
  return *sent ? 0 : 1;
}
