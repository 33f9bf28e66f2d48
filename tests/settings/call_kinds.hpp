// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <utility>

#include "settings/calls.hpp"

namespace pollux::test::settings {

/// What is at hand while calls are made up.
struct Source {
  Random& random;
  const Pools& pools;
  const Abilities& abilities;
};
/// Makes up a call of one kind.
using Kind = Call (*)(Source&);

/// A call that passes one value: `call` passes it to the port, `note` to what was asked.
template <class Value, class Pass, class Note>
std::function<Result<void>(CardPort&)> pass(Value value, Pass call, Note note) {
  return [=](CardPort& on) -> Result<void> {
    if (auto passed = call(on.port(), value); !passed) return tl::unexpected<Error>(passed.error());
    note(on.asked, value);
    return {};
  };
}

// Of the link, of what is sent, of the clock and of functions.
[[nodiscard]] Call call_flow_control(Source& from);
[[nodiscard]] Call call_link(Source& from);
[[nodiscard]] Call call_phy(Source& from);
[[nodiscard]] Call call_moderation(Source& from);
[[nodiscard]] Call call_rate(Source& from);
[[nodiscard]] Call call_clock(Source& from);
[[nodiscard]] Call call_stamps(Source& from);
[[nodiscard]] Call call_loopback(Source& from);
[[nodiscard]] Call call_wake(Source& from);
[[nodiscard]] Call call_led(Source& from);
[[nodiscard]] Call call_functions(Source& from);
[[nodiscard]] Call call_function(Source& from);
/// A request of a function by its mailbox, which ends with the function's reset.
[[nodiscard]] Call call_request(Source& from);
/// The driver of a function announces itself: it may receive and send from then on.
[[nodiscard]] Call call_announce(Source& from);

}  // namespace pollux::test::settings
