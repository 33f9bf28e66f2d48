// SPDX-License-Identifier: BSD-3-Clause
#include "fixture.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <utility>

namespace pollux::test {
namespace {

constexpr int kMostRuns = 200;

Telemetry make_telemetry(Context& context, TelemetryOptions options, const std::string& directory) {
  if (options.directory.empty()) options.directory = directory;
  auto made = Telemetry::create(context, std::move(options));
  if (!made) throw std::runtime_error(made.error().message());
  return *std::move(made);
}

}  // namespace

TemporaryDirectory::TemporaryDirectory() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }

TemporaryDirectory::~TemporaryDirectory() { std::filesystem::remove_all(path_); }

bool TemporaryDirectory::has(const std::string& file) const { return std::filesystem::exists(path_ + '/' + file); }

TestClient::TestClient(Context& context, const std::string& path)
    : context_(context), socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  EXPECT_EQ(::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0)
      << std::strerror(errno);
}

void TestClient::send(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno != EAGAIN) return;
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    context_.clock().sleep_for(std::chrono::milliseconds(20));
    static_cast<void>(context_.control().run_due());
  }
}

std::optional<std::string> TestClient::receive_line() {
  for (int runs = 0; runs < kMostRuns; ++runs) {
    if (const auto end = received_.find('\n'); end != std::string::npos) {
      std::string line = received_.substr(0, end);
      received_.erase(0, end + 1);
      return line;
    }
    char chunk[4096];
    const ssize_t count = ::recv(socket_.get(), chunk, sizeof chunk, MSG_DONTWAIT);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return std::nullopt;
    if (count > 0) {
      received_.append(chunk, static_cast<std::size_t>(count));
      continue;
    }
    context_.clock().sleep_for(std::chrono::milliseconds(20));
    static_cast<void>(context_.control().run_due());
  }
  return std::nullopt;
}

Json TestClient::ask(const std::string& method, Json params) {
  const int id = ++last_id_;
  send(Json{{"id", id}, {"method", method}, {"params", std::move(params)}}.dump() + "\n");
  const auto line = receive_line();
  if (!line) {
    ADD_FAILURE() << "no answer to " << method;
    return {};
  }
  Json answer = Json::parse(*line, nullptr, false);
  EXPECT_TRUE(answer.is_object()) << *line;
  EXPECT_EQ(answer.value("id", 0), id) << *line;
  return answer;
}

Json TestClient::result(const std::string& method, Json params) {
  const Json answer = ask(method, std::move(params));
  EXPECT_TRUE(answer.contains("result")) << method << ": " << answer.dump();
  return answer.contains("result") ? answer["result"] : Json();
}

std::string TestClient::error(const std::string& method, Json params) {
  const Json answer = ask(method, std::move(params));
  if (!answer.contains("error")) return "";
  EXPECT_FALSE(answer["error"]["what"].get<std::string>().empty());
  EXPECT_FALSE(answer["error"]["hint"].get<std::string>().empty()) << answer.dump();
  return answer["error"]["code"].get<std::string>();
}

bool TestClient::is_disconnected() {
  while (receive_line()) {
  }
  char byte = 0;
  const ssize_t count = ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT);
  return count == 0 || (count < 0 && errno == ECONNRESET);
}

TelemetryFixture::TelemetryFixture(TelemetryOptions options, const CardFixtureOptions& fixture)
    : CardFixture(fixture), telemetry(make_telemetry(context, std::move(options), directory.path())) {}

}  // namespace pollux::test
