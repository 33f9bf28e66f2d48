// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "setup.hpp"

namespace pollux::bench {

class FakedCard;

/// A case on a fixture of its own. In each round, `prepare` does the card's work, which is not measured; then `run`
/// does the software's work. With several `pieces`, a round is so many pairs of these calls.
class Workload {
 public:
  Workload(std::uint32_t operations, std::uint32_t rounds, std::uint32_t pieces = 1)
      : operations_(operations), rounds_(rounds), pieces_(pieces) {}
  Workload(const Workload&) = delete;
  Workload& operator=(const Workload&) = delete;
  virtual ~Workload() = default;

  virtual void prepare() = 0;
  virtual void run() = 0;

  /// The card, and its queue in use; null if the case does not say.
  [[nodiscard]] virtual const FakedCard* card() const { return nullptr; }
  [[nodiscard]] virtual std::uint32_t card_queue() const { return 0; }

  /// Frames that the card has lost.
  [[nodiscard]] virtual std::uint64_t lost() const { return 0; }

  /// Frames, calls or mbufs that a round handles.
  [[nodiscard]] std::uint32_t operations() const noexcept { return operations_; }
  /// Rounds after which every ring is at the same slot again.
  [[nodiscard]] std::uint32_t rounds() const noexcept { return rounds_; }
  [[nodiscard]] std::uint32_t pieces() const noexcept { return pieces_; }

 private:
  std::uint32_t operations_;
  std::uint32_t rounds_;
  std::uint32_t pieces_;
};

/// A case: its name, and whose code runs it (`who`).
struct Case {
  std::string_view name;
  std::string_view who;
  std::unique_ptr<Workload> (*make)(const Setup& setup);
  bool touches_frames = true;     ///< cold and warm differ
  bool has_modes = true;          ///< its burst functions exist in several burst modes
  std::string_view variant = {};  ///< which of a rival's paths it is, if there are several
  std::uint32_t least_burst = 1;
};

inline constexpr std::string_view kPollux = "pollux";
inline constexpr std::string_view kMinimalLoop = "minimal_loop";

[[nodiscard]] std::span<const Case> cases();
/// Ends the program if there is no such case.
[[nodiscard]] const Case& find_case(std::string_view name, std::string_view who);

}  // namespace pollux::bench
