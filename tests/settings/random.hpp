// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>

namespace pollux::test::settings {

/// Random numbers that depend on the seed alone, unlike those of the standard library's distributions.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}

  /// 0 to `count` - 1.
  template <class T = std::uint32_t>
  [[nodiscard]] T below(std::uint64_t count) {
    return static_cast<T>(engine_() % count);
  }
  [[nodiscard]] bool flip() { return below(2) != 0; }
  /// True once in `count` calls.
  [[nodiscard]] bool once_in(std::uint64_t count) { return below(count) == 0; }
  template <class Choices>
  [[nodiscard]] auto one_of(const Choices& choices) {
    return *std::next(std::begin(choices), below<std::ptrdiff_t>(std::size(choices)));
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace pollux::test::settings
