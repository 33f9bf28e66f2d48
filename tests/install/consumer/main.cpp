// SPDX-License-Identifier: BSD-3-Clause
// A program that uses the installed library: it sends one frame from an in-process card to the card at the other end of
// the wire.
#include <pollux/pollux.hpp>

#include "../send_one_across.hpp"

// The program's own build type does not matter: inline code has checks if and only if the library was built with them.
static_assert(POLLUX_CHECKED == EXPECTED_CHECKED);

namespace {

pollux::Result<bool> send() {
  pollux::Context context;
  auto pool = pollux::Mempool::create(context, {.count = 2048});
  if (!pool) return pollux::pass_on(std::move(pool));
  auto near = pollux::open(context, "sim:0", {.rx = {{.pool = *pool}}});
  if (!near) return pollux::pass_on(std::move(near));
  auto far = pollux::open(context, "sim:1", {.rx = {{.pool = *pool}}, .promiscuous = true});
  if (!far) return pollux::pass_on(std::move(far));
  return send_one_across(context, *pool, *near, *far);
}

}  // namespace

int main() { return report(send()); }
