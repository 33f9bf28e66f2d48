// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// The parts of a card's self-test, as of `ethtool -t` with Linux's igb.
enum class SelfTestPart : std::uint8_t {
  registers,   ///< registers keep the patterns that are written to them
  nvm,         ///< the checksum of the NVM
  interrupts,  ///< each cause sends a message if, and only if, it is not masked
  loopback,    ///< frames that the card sends to itself come back unchanged
  link,        ///< the link is up
};
/// "registers", "nvm", "interrupts", "loopback", "link".
[[nodiscard]] POLLUX_API std::string_view to_string(SelfTestPart part) noexcept;

/// How a part of the test ended.
enum class SelfTestOutcome : std::uint8_t { passed, failed, skipped };
/// "passed", "failed", "skipped".
[[nodiscard]] POLLUX_API std::string_view to_string(SelfTestOutcome outcome) noexcept;

/// What became of one part.
struct SelfTestResult {
  SelfTestPart part = SelfTestPart::registers;        ///< which part
  SelfTestOutcome outcome = SelfTestOutcome::passed;  ///< how it ended
  std::string detail = {};                            ///< what failed, or why the part was skipped; empty if it passed
};

/// Capability (see capability.hpp): tests the card. A call takes up to about 12 seconds, most of them waiting for a
/// link.
class POLLUX_API SelfTest {
 public:
  static constexpr CapabilityId kId{"self_test"};

  virtual ~SelfTest() = default;
  /// Runs all parts on a port that is not started. It resets the card. The settings of the port stay, and apply from
  /// its next start. Errors: bad_state (the port is started or closed), no_memory (for the frames), device_removed, and
  /// those of a reset. A part that fails is a result and not an error.
  [[nodiscard]] virtual Result<std::vector<SelfTestResult>> test_offline() = 0;
  /// Tests only the link, which other parts would disturb. Errors: bad_state (the port is not started), device_removed.
  [[nodiscard]] virtual Result<std::vector<SelfTestResult>> test_online() = 0;
};

}  // namespace pollux
