// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "pollux/base/api.hpp"
#include "pollux/device/register_info.hpp"
#include "pollux/net/capability.hpp"

namespace pollux {

/// A register's value for a dump.
struct RegisterValue {
  std::string name;                        ///< name in the datasheet; with an index if there are several, such as "[3]"
  std::uint32_t offset = 0;                ///< in bytes, in the card's register window
  std::uint32_t value = 0;                 ///< as read
  std::span<const FieldInfo> fields = {};  ///< of the register; refers to memory that the driver's code owns
};

/// Capability (see capability.hpp): reads the card's registers. Reading changes nothing on the card, since
/// clear-on-read registers are left out.
class POLLUX_API RegisterDump {
 public:
  static constexpr CapabilityId kId{"registers"};

  virtual ~RegisterDump() = default;
  /// All registers that can be read without a side effect. Empty if the port is closed; values of all ones if the card
  /// has been removed.
  [[nodiscard]] virtual std::vector<RegisterValue> registers() = 0;
};

}  // namespace pollux
