// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "observe/sockets.hpp"
#include "pollux/net/open_ports.hpp"

namespace pollux::observe {

/// A port of the Context under its name.
struct NamedPort {
  std::string name;  ///< empty: no name could be claimed
  OpenPort port;
};

/// The names of a Context's ports.
class NamedPorts {
 public:
  NamedPorts(Context& context, OwnDirectory directory) : context_(context), directory_(std::move(directory)) {}

  /// All ports that are not closed. New ones get a name; the names of those that are gone are free again.
  [[nodiscard]] std::vector<NamedPort> all();
  /// The port with that name or URI. Errors: not_found, invalid_argument (several ports have the URI).
  [[nodiscard]] Result<NamedPort> find(const std::string& name);
  /// Gives all names back.
  void forget_all() { names_.clear(); }

 private:
  [[nodiscard]] std::string name_of(std::uint64_t id);

  Context& context_;
  OwnDirectory directory_;
  std::map<std::uint64_t, Claim> names_;  // by OpenPort::id
  bool has_warned_ = false;
};

}  // namespace pollux::observe
