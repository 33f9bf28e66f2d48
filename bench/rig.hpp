// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::bench {

/// A benchmark without what it needs has nothing to say.
template <class T>
T need(Result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", result.error().message().c_str());
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Puts a pool's mbufs into random order: in the order of their addresses the hardware's prefetcher would help.
inline void shuffle(Mempool& pool) {
  std::vector<MbufPtr> mbufs;
  while (MbufPtr mbuf = pool.allocate()) mbufs.push_back(std::move(mbuf));
  std::shuffle(mbufs.begin(), mbufs.end(), std::mt19937(1));
}

/// For a Context whose messages go to standard error.
inline ContextOptions talking(std::shared_ptr<Clock> clock = nullptr) {
  const auto print = [](LogLevel, std::string_view text) {
    std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };
  return {.clock = std::move(clock), .log = print};
}

}  // namespace pollux::bench
