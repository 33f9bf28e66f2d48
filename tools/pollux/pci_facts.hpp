// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "environment.hpp"
#include "pollux/base/error.hpp"
#include "pollux/pci/device_info.hpp"

namespace pollux::tool {

/// What `pollux info` shows of a port from one source: a title, lines of label and value, and the same for a program.
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

/// Names in sysfs and pci.ids may hold any bytes; what is no UTF-8 is replaced.
inline constexpr auto kReplaceBadText = nlohmann::json::error_handler_t::replace;

[[nodiscard]] nlohmann::json to_json(const pci::DeviceInfo& device, const DriverOf& driver_of);

/// What sysfs tells of the card, whoever drives it.
[[nodiscard]] Result<Facts> pci_facts(const Environment& environment, pci::Address address);

}  // namespace pollux::tool
