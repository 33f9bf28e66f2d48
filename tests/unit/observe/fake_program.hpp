// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "base/file_descriptor.hpp"
#include "telemetry_client.hpp"

namespace pollux::tool {

/// A directory with a socket on which `serve` is called with each connection, one at a time.
class FakeProgram {
 public:
  explicit FakeProgram(std::function<void(int)> serve) : serve_(std::move(serve)) {
    EXPECT_NE(::mkdtemp(directory_.data()), nullptr);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    thread_ = std::thread([this] { work(); });
  }
  FakeProgram(const FakeProgram&) = delete;
  FakeProgram& operator=(const FakeProgram&) = delete;
  ~FakeProgram() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    std::filesystem::remove_all(directory_);
  }

  [[nodiscard]] std::string socket() const { return directory_ + "/1.sock"; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  /// The program has as many more sockets.
  void link_socket(int times) const {
    for (int i = 0; i < times; ++i)
      std::filesystem::create_hard_link(socket(), fmt::format("{}/{}.sock", directory_, ++links_));
  }

 private:
  void work() {
    while (true) {
      const FileDescriptor connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      serve_(connection.get());
    }
  }

  std::function<void(int)> serve_;
  mutable int links_ = 1;
  std::string directory_ = "/tmp/pollux-client-XXXXXX";
  FileDescriptor listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::thread thread_;
};

inline bool say(int connection, const std::string& text) {
  for (std::size_t said = 0; said < text.size();) {
    const ssize_t count = ::send(connection, text.data() + said, text.size() - said, MSG_NOSIGNAL);
    if (count <= 0) return false;
    said += static_cast<std::size_t>(count);
  }
  return true;
}

/// Answers each request by its method with the JSON text, until the client leaves.
inline std::function<void(int)> answering(std::map<std::string, std::string> members) {
  return [members = std::move(members)](int connection) {
    std::string received;
    std::array<char, 4096> chunk;
    for (ssize_t count = 0; (count = ::recv(connection, chunk.data(), chunk.size(), 0)) > 0;) {
      received.append(chunk.data(), static_cast<std::size_t>(count));
      for (auto end = received.find('\n'); end != std::string::npos; end = received.find('\n')) {
        const auto request = TelemetryJson::parse(received.substr(0, end));
        received.erase(0, end + 1);
        const auto found = members.find(request["method"].get<std::string>());
        const std::string answer = found == members.end() ? R"("result":null)" : found->second;
        if (!say(connection, R"({"id":)" + request["id"].dump() + "," + answer + "}\n")) return;
      }
    }
  };
}

}  // namespace pollux::tool
