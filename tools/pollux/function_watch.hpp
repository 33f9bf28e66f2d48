// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "environment.hpp"
#include "pollux/net/port.hpp"
#include "pollux/net/virtual_functions.hpp"

namespace pollux::tool {

/// Prints what happens to a port and its virtual functions: one line an event, as text or JSON.
class FunctionWatch {
 public:
  /// The arguments outlive the object.
  FunctionWatch(const Environment& environment, bool json, Port& port)
      : environment_(environment), json_(json), port_(port), functions_(port.capability<VirtualFunctions>()) {}

  /// Prints the port's name and the settings of all functions. Errors: those of VirtualFunctions::function.
  [[nodiscard]] Result<void> print_settings(const std::string& port);
  /// Prints what has changed since the last call. Errors: those of VirtualFunctions::function.
  [[nodiscard]] Result<void> look();
  void on_event(const PortEvent& event);
  /// Prints what has changed since the last look, and what each function has sent and requested. Errors: those of
  /// VirtualFunctions::function.
  [[nodiscard]] Result<void> print_totals();

 private:
  [[nodiscard]] Result<std::vector<VirtualFunctionState>> states();
  void compare(unsigned number, const VirtualFunctionState& before, const VirtualFunctionState& now);
  /// Prints `text`, or `json` with the name of the event and the function, unless it comes too often.
  void print(unsigned number, const char* event, const std::string& text, nlohmann::json json = {});
  void print_now(unsigned number, const std::string& text, const nlohmann::json& json);
  /// Prints what `Seldom` has left out, once its minute is over.
  void print_left_out();
  void line(const std::string& text);

  /// Events of the same kind of one function. A client can cause them all the time.
  struct Seldom {
    Time begin = {};  ///< of the minute
    unsigned printed = 0;
    std::uint64_t left_out = 0;
    std::string text = {};  ///< of the last one that was left out
    nlohmann::json json = {};
  };

  const Environment& environment_;
  bool json_;
  Port& port_;
  Capability<VirtualFunctions> functions_;
  std::vector<VirtualFunctionState> seen_;
  std::map<std::pair<unsigned, std::string>, Seldom> seldom_;  // by function and kind
};

}  // namespace pollux::tool
