// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.hpp"
#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::tool {

/// Serves a text at /metrics by HTTP/1.1, on one thread; a connection has one request. All requests that have come
/// while the text was made, and within kFresh after it, get the same one. So clients wait for that text, and not for
/// each other.
class MetricsServer {
 public:
  /// Connections at a time; fewer where the limit of open files asks for it. If there are more, the one that has taken
  /// nothing for the longest time ends.
  static constexpr std::size_t kMost = 512;
  static constexpr std::size_t kLongestRequest = std::size_t{16} << 10;
  static constexpr Duration kFresh = std::chrono::seconds(1);
  /// The time for a request, and that in which a client has to take a part of the answer.
  static constexpr Duration kPatience = std::chrono::seconds(2);

  /// Listens at an address that `listen_address` has returned. `make_text` may take a while. Error: io_error.
  [[nodiscard]] static Result<MetricsServer> create(const std::string& address, Clock& clock,
                                                    std::function<std::string()> make_text);

  /// Serves until `stopped` returns true; it is called at least every 100 ms. Error: that of Clock::wait.
  [[nodiscard]] Result<void> serve(const std::function<bool()>& stopped);

 private:
  using Text = std::shared_ptr<const std::string>;

  enum class State { reads, waits, sends, drains, over };

  struct Client {
    FileDescriptor socket;
    Time active;  ///< when it connected, or took a part of its answer last
    State state = State::reads;
    std::string request = {};
    std::string head = {};  ///< of the answer
    Text body = {};
    std::size_t sent = 0;  ///< of both
  };

  MetricsServer(FileDescriptor listener, bool is_local, Clock& clock, std::function<std::string()> make_text);

  /// Returns whether the next one can be accepted now.
  bool accept_clients();
  void make_place();
  void work(Client& client) const;
  void receive(Client& client) const;
  void answer(Client& client, std::string_view status, std::size_t length, Text body) const;
  void send(Client& client) const;
  void answer_waiting();
  void end_silent();

  FileDescriptor listener_;
  bool is_local_;  ///< it listens at a loopback address: a request that names another host gets no counters
  Clock& clock_;
  std::function<std::string()> make_text_;
  std::size_t most_;
  std::list<Client> clients_;
  Text text_;
  Time made_{};
};

}  // namespace pollux::tool
