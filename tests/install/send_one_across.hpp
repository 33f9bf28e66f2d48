// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <pollux/mem/burst.hpp>
#include <pollux/mem/context.hpp>
#include <pollux/mem/mempool.hpp>
#include <pollux/net/port.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>

/// Sends one frame of the pool from one port to the other, and says whether it arrived whole.
inline pollux::Result<bool> send_one_across(pollux::Context& context, pollux::Mempool& pool, pollux::Port& near,
                                            pollux::Port& far) {
  using namespace std::chrono_literals;
  for (pollux::Port* port : {&near, &far}) {
    if (auto link = port->wait_for_link(10s); !link) return pollux::pass_on(std::move(link));
  }
  pollux::MbufPtr frame = pool.allocate();
  if (frame == nullptr) return false;
  std::uint8_t* const bytes = frame->append(60);
  if (bytes == nullptr) return false;
  std::memset(bytes, 0x02, 60);

  pollux::Burst<8> burst;
  if (!burst.push(frame)) return false;
  near.tx(0).tx_burst(burst);
  pollux::Burst<8> arrived;
  const auto received =
      pollux::wait_until(context.clock(), "the frame's arrival", 5s, [&] { return far.rx(0).rx_burst(arrived) == 1; });
  if (!received) return tl::unexpected(received.error());
  return arrived[0].packet_length() == 60;
}

/// What a program says of it, and its exit status.
inline int report(const pollux::Result<bool>& sent) {
  if (!sent) {
    std::fprintf(stderr, "%s\n", sent.error().message().c_str());
    return 1;
  }
  std::puts(*sent ? "one frame arrived" : "the frame did not arrive");
  return *sent ? 0 : 1;
}
