// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

/// The shared object that `pollux ethtool` preloads into ethtool. It is linked to no other part of Pollux, so that it
/// brings nothing into a program that is not ours. Functions return 0 or a number of errno, as system calls do.
namespace pollux::ethtool {

using Json = nlohmann::ordered_json;

/// The member of an object, or null: a program may be of another version, or send anything.
[[nodiscard]] const Json& member(const Json& json, const char* name);
/// Members as the type that a caller needs; zero, false and empty if they are of another one. ethtool prints texts as
/// they are, so they have ? for each control character.
[[nodiscard]] std::uint64_t number(const Json& json, const char* name);
[[nodiscard]] bool flag(const Json& json, const char* name);
[[nodiscard]] std::string text(const Json& json, const char* name);
/// A number; zero if it is none.
[[nodiscard]] std::uint64_t number(const Json& json);
/// Whether a list has that word.
[[nodiscard]] bool contains(const Json& list, std::string_view word);

/// The port of a running program that ethtool asks about, and a connection to the program's telemetry. A program that
/// does not answer in time, also one that sends byte after byte, is an error, and is asked no more.
class Port {
 public:
  /// `socket`: the program's; `name`: the port's, such as "plx0".
  Port(std::string socket, std::string name) : socket_(std::move(socket)), name_(std::move(name)) {}
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  ~Port();

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Asks for something about the port. An error but EOPNOTSUPP, which ethtool expects, is explained on stderr.
  [[nodiscard]] int ask(const char* method, Json& result, Json params = Json::object());
  /// Changes something. Each error is explained on stderr, since ethtool prints no more than its number.
  [[nodiscard]] int change(const char* method, Json params = Json::object());
  /// Changes settings by a merge patch of them (port.change), with a tag only those that it belongs to.
  [[nodiscard]] int set(Json patch, Json tag = nullptr) {
    return change("port.change", {{"settings", std::move(patch)}, {"tag", std::move(tag)}});
  }
  /// The settings of the port, and their tag.
  [[nodiscard]] int settings(Json& settings, Json* tag = nullptr);
  /// As `change`, with the result.
  [[nodiscard]] int change(const char* method, Json params, Json& result);

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  enum class Call { asks, changes };
  [[nodiscard]] int connect();
  [[nodiscard]] int send(std::string_view request, Deadline deadline);
  [[nodiscard]] int receive(std::string& line, Deadline deadline);
  [[nodiscard]] int exchange(const std::string& request, std::string& line, std::chrono::seconds limit);
  [[nodiscard]] int call(const char* method, Json params, Json& result, Call how);

  std::string socket_;
  std::string name_;
  std::string received_;
  int descriptor_ = -1;
  int failure_ = 0;                      // of the connection: the program is asked no more
  std::chrono::milliseconds waited_{0};  // for answers so far
};

/// Prints a line on stderr that explains the error that ethtool is going to print.
void explain(const std::string& what, const std::string& hint = {});

}  // namespace pollux::ethtool
