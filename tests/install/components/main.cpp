// SPDX-License-Identifier: BSD-3-Clause
// Sends one frame from one end of a ring, or of the wire between two in-process cards, to the other end.
#include <pollux/open.hpp>

#ifdef WITH_LABORATORY
#include <pollux/laboratory.hpp>
#endif

#include "../send_one_across.hpp"

namespace {

pollux::Result<bool> send(pollux::Context& context, const char* from, const char* to) {
  auto near = pollux::open(context, from);
  if (!near) return pollux::pass_on(std::move(near));
  auto far = pollux::open(context, to, {.promiscuous = true});
  if (!far) return pollux::pass_on(std::move(far));
  auto pool = near->rx_pool();
  return send_one_across(context, *pool, *near, *far);
}

}  // namespace

int main() {
  pollux::Context context;
#ifdef WITH_LABORATORY
  pollux::add_laboratory(context);
  return report(send(context, "sim:0", "sim:1"));
#else
  const auto absent = pollux::open(context, "sim:0");
  std::puts(absent ? "sim: is there" : absent.error().message().c_str());
  return report(send(context, "ring:a:0", "ring:a:1"));
#endif
}
