// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux::bench {

[[noreturn]] inline void give_up(std::string_view why) {
  std::fprintf(stderr, "error: %.*s\n", static_cast<int>(why.size()), why.data());
  std::exit(1);
}

/// Ends the program with a message if something is missing that a benchmark needs.
template <class T>
T need(Result<T> result) {
  if (!result) give_up(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Puts a pool's mbufs into random order. In the order of addresses, the hardware's prefetcher would help.
inline void shuffle(Mempool& pool) {
  std::vector<MbufPtr> mbufs;
  while (MbufPtr mbuf = pool.allocate()) mbufs.push_back(std::move(mbuf));
  std::shuffle(mbufs.begin(), mbufs.end(), std::mt19937(1));
}

/// Options for a Context that logs errors to standard error. A warning about the machine is printed once per program.
inline ContextOptions logging_options(std::shared_ptr<Clock> clock = nullptr) {
  const auto print = [](LogLevel level, std::string_view text) {
    if (level == LogLevel::error) std::fprintf(stderr, "%.*s\n", static_cast<int>(text.size()), text.data());
  };
  return {.clock = std::move(clock), .log = print};
}

}  // namespace pollux::bench
