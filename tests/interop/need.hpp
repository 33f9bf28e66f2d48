// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdlib>
#include <iostream>
#include <utility>

#include "pollux/base/error.hpp"

namespace pollux::test {

/// The value, without which a tool cannot go on: it ends with status 2.
template <class T>
T need(Result<T> result) {
  if (!result) {
    std::cerr << result.error().message() << '\n';
    std::exit(2);
  }
  return *std::move(result);
}

}  // namespace pollux::test
