// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "setup.hpp"

namespace pollux::bench {

/// A case on a fixture of its own, in rounds: first the card's part, which nobody measures, then the software's.
class Workload {
 public:
  Workload(std::uint32_t operations, std::uint32_t rounds) : operations_(operations), rounds_(rounds) {}
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  virtual ~Workload() = default;

  virtual void prepare() = 0;
  virtual void run() = 0;

  /// Frames, calls or mbufs that `run` handles.
  [[nodiscard]] std::uint32_t operations() const noexcept { return operations_; }
  /// Rounds after which all stands where it stood before.
  [[nodiscard]] std::uint32_t rounds() const noexcept { return rounds_; }

 private:
  std::uint32_t operations_;
  std::uint32_t rounds_;
};

/// A case by its name, and who does it.
struct Case {
  std::string_view name;
  std::string_view who;
  std::unique_ptr<Workload> (*make)(const Setup& setup);
  bool touches_frames = true;  ///< cold and warm differ
  bool has_paths = true;       ///< it goes through burst functions that exist in several instruction sets
};

inline constexpr std::string_view kPollux = "pollux";
inline constexpr std::string_view kLeastLoop = "least_loop";

[[nodiscard]] std::span<const Case> cases();
/// The program ends where there is none.
[[nodiscard]] const Case& find_case(std::string_view name, std::string_view who);

}  // namespace pollux::bench
