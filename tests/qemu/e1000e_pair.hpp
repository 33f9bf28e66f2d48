// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "pollux/net/register_dump.hpp"
#include "qemu/fixture.hpp"

namespace pollux::test {

inline std::string uri(unsigned number) { return std::to_string(number) + "?card=82574"; }

/// Two ports on a wire, with links.
struct E1000ePair {
  explicit E1000ePair(QemuFixture& with) : fixture(with), left(with.start(uri(0))), right(with.start(uri(1))) {
    EXPECT_TRUE(QemuFixture::link_rises(left.port));
    EXPECT_TRUE(QemuFixture::link_rises(right.port));
  }

  QemuFixture& fixture;
  QemuPort left;
  QemuPort right;
};

inline std::uint32_t value_of(Port& port, std::string_view name) {
  for (const RegisterValue& one : port.capability<RegisterDump>()->registers()) {
    if (one.name == name) return one.value;
  }
  ADD_FAILURE() << "no register " << name;
  return 0;
}

}  // namespace pollux::test
