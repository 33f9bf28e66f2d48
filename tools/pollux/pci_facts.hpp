// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "environment.hpp"
#include "pci/device_info.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool {

/// What one source knows about a port, for `pollux info`: a title, lines of label and value, and the same as JSON.
struct Facts {
  struct Line {
    std::string label;
    std::string value;
  };
  std::string key;    ///< name in JSON
  std::string title;  ///< heading in text
  std::vector<Line> lines;
  nlohmann::json json;
};

/// Names in sysfs and pci.ids may contain any bytes; invalid UTF-8 is replaced. Printed JSON is ASCII, so that a
/// terminal shows no character that `printable` would replace.
inline constexpr auto kReplaceBadText = nlohmann::json::error_handler_t::replace;

[[nodiscard]] nlohmann::json to_json(const pci::DeviceInfo& device, const DriverOf& driver_of);

/// The facts of sysfs about the card, with any driver.
[[nodiscard]] Result<Facts> pci_facts(const Environment& environment, pci::Address address);

}  // namespace pollux::tool
