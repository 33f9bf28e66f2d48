// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/file_descriptor.hpp"
#include "net/json/json.hpp"
#include "pollux/observe/telemetry.hpp"
#include "support/fixture.hpp"

namespace pollux::test {

using json::Json;

/// A directory under /tmp that ends with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] bool has(const std::string& file) const;

 private:
  std::string path_ = "/tmp/pollux-telemetry-XXXXXX";
};

/// A client of a server that runs in the same thread: while it waits, it runs the Control.
class TestClient {
 public:
  TestClient(Context& context, const std::string& path);

  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  /// Sends text as it is; what the socket does not take is lost.
  void send(std::string_view text);
  /// The next line; nullopt if the server disconnects, or answers nothing within some runs.
  [[nodiscard]] std::optional<std::string> receive_line();
  /// The whole answer to a request with `method` and `params`.
  [[nodiscard]] Json ask(const std::string& method, Json params = Json::object());
  /// The result; fails the test if the answer is an error.
  [[nodiscard]] Json result(const std::string& method, Json params = Json::object());
  /// The code of the error; empty if there is none.
  [[nodiscard]] std::string error(const std::string& method, Json params = Json::object());
  [[nodiscard]] bool is_disconnected();
  void disconnect() { socket_ = FileDescriptor(); }

 private:
  Context& context_;
  FileDescriptor socket_;
  std::string received_;
  int last_id_ = 0;
};

/// The fixture's port, and telemetry about it.
struct TelemetryFixture : CardFixture {
  explicit TelemetryFixture(TelemetryOptions options = {}, const CardFixtureOptions& card = {});

  [[nodiscard]] TestClient client() { return {context, telemetry.socket()}; }

  TemporaryDirectory directory;
  Telemetry telemetry;
};

}  // namespace pollux::test
