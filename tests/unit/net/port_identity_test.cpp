// SPDX-License-Identifier: BSD-3-Clause
#include "net/port_identity.hpp"

#include <gtest/gtest.h>

#include <initializer_list>

namespace pollux {
namespace {

TEST(ExpectState, TheHintIsACallOnTheWay) {
  const auto hint = [](PortState state, std::initializer_list<PortState> allowed) {
    return expect_state(state, allowed, "sim:0", "call", {}).error().hint;
  };
  for (const PortState state :
       {PortState::opened, PortState::configured, PortState::started, PortState::suspended, PortState::failed})
    EXPECT_EQ(hint(state, {PortState::detached}), "detach the port first") << "attach needs it";
  for (const PortState state : {PortState::opened, PortState::configured, PortState::started})
    EXPECT_EQ(hint(state, {PortState::suspended}), "suspend the port first") << "resume needs it";
  EXPECT_EQ(hint(PortState::opened, {PortState::started}), "configure the port first");
  EXPECT_EQ(hint(PortState::configured, {PortState::started}), "start the port first");
  EXPECT_EQ(hint(PortState::started, {PortState::opened, PortState::configured}), "stop the port first");
}

}  // namespace
}  // namespace pollux
