// SPDX-License-Identifier: BSD-3-Clause
// The tools' side of telemetry, with programs that answer nonsense.
#include "telemetry_client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <thread>

#include "capture/copy_capture.hpp"
#include "fake_program.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Result<TelemetryJson> call(const FakeProgram& program, std::chrono::milliseconds limit = 5s) {
  auto client = TelemetryClient::connect(program.socket());
  if (!client) return pass_on(std::move(client));
  return client->call("process", TelemetryJson::object(), limit);
}

TEST(TelemetryClient, AFloodOfOtherLinesEndsInATimeout) {
  const FakeProgram program([](int connection) {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < end && say(connection, "{\"id\":0,\"result\":1}\n")) {
    }
  });
  const auto answer = call(program, 300ms);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::timeout) << answer.error().message();
}

TEST(TelemetryClient, ARequestThatIsTooLongIsNotSent) {
  FakeProgram program([](int client) {
    char byte = 0;
    EXPECT_EQ(::recv(client, &byte, 1, 0), 0);
  });
  auto client = TelemetryClient::connect(program.socket());
  ASSERT_TRUE(client) << client.error().message();
  const auto answer = client->call("capture.start", {{"filter", std::string(140'000, 'x')}});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(answer.error().message(), HasSubstr("a program takes 65536"));
}

TEST(TelemetryClient, AnAnswerThatIsTooDeepIsRejected) {
  constexpr std::size_t kDepth = 200'000;
  const FakeProgram program(
      answering({{"process", R"("result":{"a":)" + std::string(kDepth, '[') + std::string(kDepth, ']') + "}"}}));
  const auto answer = call(program);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::io_error);
}

TEST(TelemetryClient, AnAnswerWithTooManyMembersIsRejected) {
  std::string members = R"("a":0)";
  for (int i = 0; i < 5000; ++i) members += ",\"k" + std::to_string(i) + "\":0";
  const FakeProgram program(answering({{"process", R"("result":{)" + members + "}"}}));
  const auto answer = call(program);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::io_error);
  EXPECT_THAT(answer.error().what, HasSubstr("too many members"));
}

TEST(TelemetryClient, AnAnswerWithTooManyValuesIsRejected) {
  std::string values = "0";
  for (int i = 0; i < 200'000; ++i) values += ",0";
  const FakeProgram program(answering({{"process", R"("result":[)" + values + "]"}}));
  const auto answer = call(program);
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().what, HasSubstr("too many"));
}

TEST(TelemetryClient, ALongTextIsCutBetweenCharacters) {
  std::string text(1023, 'a');
  text += "\xC3\xBC and more";
  EXPECT_EQ(text_of({{"x", text}}, "x"), std::string(1023, 'a'));
}

TEST(TelemetryClient, ProgramsThatDoNotAnswerCostABoundedTime) {
  const auto mute = [](int connection) {
    std::array<char, 4096> chunk;
    while (::recv(connection, chunk.data(), chunk.size(), 0) > 0) {
    }
  };
  const FakeProgram first(mute);
  const FakeProgram second(mute);
  const FakeProgram third(mute);
  const auto begin = std::chrono::steady_clock::now();
  const RunningPorts running = running_ports({first.directory(), second.directory(), third.directory()}, 300ms);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 4s) << "each of them had 5 seconds";
  EXPECT_EQ(running.failures.size(), 3U);
  EXPECT_THAT(running_ports({first.directory()}, 0ms).failures.back().what, HasSubstr("were not asked"));
}

TEST(TelemetryClient, ProgramsThatDoNotAnswerLeaveTimeForOtherDirectories) {
  const FakeProgram mute([](int connection) {
    std::array<char, 4096> chunk;
    while (::recv(connection, chunk.data(), chunk.size(), 0) > 0) {
    }
  });
  const FakeProgram other(
      answering({{"process", R"("result":{"pid":7})"}, {"ports", R"("result":[{"name":"plx0"}])"}}));
  const RunningPorts running = running_ports({mute.directory(), other.directory()}, 4s);  // less than one may take
  EXPECT_EQ(running.ports.size(), 1U);
  ASSERT_EQ(running.failures.size(), 1U);
  EXPECT_THAT(running.failures.front().what, HasSubstr(mute.socket()));
}

TEST(TelemetryClient, ProgramsWithManyPortsLeaveRoomForOtherDirectories) {
  std::string ports = R"({"name":"plx0"})";
  for (int i = 1; i < 256; ++i) ports += R"(,{"name":"plx1"})";
  const FakeProgram greedy(answering({{"ports", R"("result":[)" + ports + "]"}}));
  greedy.link_socket(20);
  const FakeProgram other(answering({{"ports", R"("result":[{"name":"plx2"}])"}}));
  const RunningPorts running = running_ports({greedy.directory(), other.directory()}, 60s);
  EXPECT_EQ(running.ports.size(), 1024U + 1);
  EXPECT_EQ(running.ports.back().name, "plx2");
  ASSERT_EQ(running.failures.size(), 1U);
  EXPECT_THAT(running.failures.front().what, HasSubstr("too many ports"));
  const auto none = select_port(running, "plx3");
  ASSERT_FALSE(none);
  EXPECT_LT(none.error().message().size(), 2000U);
}

TEST(TelemetryClient, ADirectoryHasABoundedNumberOfFiles) {
  const FakeProgram program(answering({}));
  program.link_socket(32);
  for (int i = 0; i < 20'000; ++i) {
    const std::string name = program.directory() + "/" + std::to_string(i);
    ASSERT_EQ(::link(program.socket().c_str(), name.c_str()), 0);
  }
  program.link_socket(32);
  EXPECT_LT(telemetry_sockets({program.directory()}).size(), 65U) << "those behind others are not seen";
}

TEST(TelemetryClient, JsonForATerminalHasNoControlCharacters) {
  const std::string shown = json_text({{"\x1b[2J", "\x7f\xC2\x9B"}});
  for (const char c : shown) EXPECT_TRUE((c >= ' ' && c < '\x7f') || c == '\n') << shown;
  EXPECT_EQ(TelemetryJson::parse(shown)["\x1b[2J"], "\x7f\xC2\x9B");
}

TEST(TelemetryClient, ANumberIsShownOnlyIfItIsOne) {
  EXPECT_EQ(digits_of({{"x", 7}}, "x"), "7");
  EXPECT_EQ(digits_of({{"x", "\x1b[2J"}}, "x"), "-");
}

TEST(Report, ShowsNoControlCharacters) {
  std::ostringstream err;
  print_error(err, {ErrorCode::io_error, "process 7 (\x1b]0;x\x07)", "see \x1b[2J"});
  EXPECT_EQ(err.str(), "pollux: process 7 (?]0;x?)\n  hint: see ?[2J\n");
}

/// XDG_RUNTIME_DIR as long as the object lives.
class RuntimeDirectory {
 public:
  explicit RuntimeDirectory(const std::string& path) {
    const char* const value = std::getenv("XDG_RUNTIME_DIR");
    if (value != nullptr) before_ = value;
    ::setenv("XDG_RUNTIME_DIR", path.c_str(), 1);
  }
  RuntimeDirectory(const RuntimeDirectory&) = delete;
  RuntimeDirectory& operator=(const RuntimeDirectory&) = delete;
  ~RuntimeDirectory() { before_ ? ::setenv("XDG_RUNTIME_DIR", before_->c_str(), 1) : ::unsetenv("XDG_RUNTIME_DIR"); }

 private:
  std::optional<std::string> before_;
};

// Root's tools would read whatever another user answers there.
TEST(TelemetryDirectories, ThoseOfOthersAreLeftOut) {
  std::string root = "/tmp/pollux-client-XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  const RuntimeDirectory runtime(root);
  const std::string own = root + "/pollux";
  using testing::Contains;
  using testing::Not;
  EXPECT_THAT(telemetry_directories(), Not(Contains(own))) << "there is none";
  std::filesystem::create_directory(own);
  ASSERT_EQ(::chmod(own.c_str(), 0755), 0);
  EXPECT_THAT(telemetry_directories(), Contains(own));
  ASSERT_EQ(::chmod(own.c_str(), 0777), 0);
  EXPECT_THAT(telemetry_directories(), Not(Contains(own))) << "others may write to it";
  std::filesystem::rename(own, root + "/moved");
  std::filesystem::create_directory_symlink(root + "/moved", own);
  ASSERT_EQ(::chmod((root + "/moved").c_str(), 0755), 0);
  EXPECT_THAT(telemetry_directories(), Not(Contains(own))) << "a symbolic link";
  if (::geteuid() == 0) {
    std::filesystem::remove(own);
    std::filesystem::create_directory(own);
    ASSERT_EQ(::chown(own.c_str(), 65534, 65534), 0);
    EXPECT_THAT(telemetry_directories(), Not(Contains(own))) << "another user's";
    EXPECT_THAT(telemetry_directories(Users::own), Not(Contains(testing::HasSubstr("/run/user/"))));
  }
  std::filesystem::remove_all(root);
}

TEST(TelemetryClient, AMemberIsNotCopied) {
  const TelemetryJson json{{"a", {{"b", 1}}}};
  EXPECT_EQ(&member(json, "a"), &json["a"]);
  EXPECT_TRUE(member(json, "c").is_null());
  EXPECT_TRUE(member(member(json, "c"), "b").is_null());
}

TEST(TelemetryClient, ControlCharactersOfAProgramAreNotShown) {
  EXPECT_EQ(printable("a\x1b[2J\x7f\tb"), "a?[2J??b");
  EXPECT_EQ(printable("\xC2\x9B"
                      "1m\xC3\xA9\xC2\xA0\xC2"),
            "?1m\xC3\xA9\xC2\xA0?");
  EXPECT_EQ(printable("\x9B"
                      "2J\x90q\xFF"),
            "?2J?q?")
      << "bytes that 8-bit terminals obey";
  EXPECT_EQ(printable("\xE2\x80\xAE"
                      "txt\xE2\x80\xA9"),
            "?txt?")
      << "text from right to left, and a new line";
  EXPECT_EQ(printable("\xC0\x9B\xE0\x82\x9B\xED\xA0\x80\xF4\x90\x80\x80"), "????????????") << "not UTF-8";
  EXPECT_EQ(printable("\xE2\x82\xAC\xF0\x9F\x98\x80"), "\xE2\x82\xAC\xF0\x9F\x98\x80");
  const FakeProgram program(answering({{"process", R"("result":{"pid":7,"program":"\u001b[2Jl2fwd"})"},
                                       {"ports", R"("result":[{"name":"plx0","uri":"sim:0\u0007"}])"}}));
  const auto ports = ports_of(program.socket());
  ASSERT_TRUE(ports);
  ASSERT_EQ(ports->size(), 1U);
  EXPECT_EQ(ports->front().program, "?[2Jl2fwd");
  EXPECT_EQ(ports->front().uri, "sim:0?");
}

TEST(TelemetryClient, AnErrorsTextIsShownWithoutControlCharacters) {
  const FakeProgram program(answering({{"process", R"("error":{"code":"busy","what":"\u001b7","hint":"x"})"}}));
  const auto answer = call(program);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::busy);
  EXPECT_EQ(answer.error().what, "?7");
}

TEST(TelemetryClient, AProgramThatCannotBeAskedIsNamed) {
  const FakeProgram program(answering({{"process", R"("error":{"code":"busy","what":"16 clients","hint":"wait"})"}}));
  const RunningPorts running = running_ports({program.directory()});
  EXPECT_TRUE(running.ports.empty());
  ASSERT_EQ(running.failures.size(), 1U);
  EXPECT_EQ(running.failures[0].code, ErrorCode::busy);
  EXPECT_EQ(running.failures[0].what, program.socket() + ": 16 clients");
  const auto port = select_port(running, "plx0");
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().code, ErrorCode::not_found);
  EXPECT_EQ(port.error().hint, program.socket() + ": 16 clients (wait)");
}

TEST(TelemetryClient, AProgramThatHasEndedIsNotNamed) {
  std::string directory;
  {
    const FakeProgram program(answering({}));
    directory = program.directory() + "-left";
    std::filesystem::create_directory(directory);
    std::filesystem::rename(program.socket(), directory + "/1.sock");
  }
  const RunningPorts running = running_ports({directory});
  EXPECT_TRUE(running.failures.empty());
  EXPECT_THAT(select_port(running, "plx0").error().hint, HasSubstr("--telemetry"));
  std::filesystem::remove_all(directory);
}

TEST(TelemetryClient, WaitsForAPlaceInTheQueueOfConnections) {
  const FakeProgram program([](int) { std::this_thread::sleep_for(50ms); });
  while (TelemetryClient::connect(program.socket(), 1ms)) continue;
  EXPECT_TRUE(TelemetryClient::connect(program.socket()));
}

// Its owner chooses where it leads: to a socket of root's, or into a file system that never answers.
TEST(TelemetryClient, ALinkIsNotFollowed) {
  FakeProgram program([](int) {});
  const std::string name = program.directory() + "/2.sock";
  const std::string directory = program.directory() + "/link";
  ASSERT_EQ(::symlink(program.socket().c_str(), name.c_str()), 0);
  ASSERT_EQ(::symlink(program.directory().c_str(), directory.c_str()), 0);
  EXPECT_TRUE(TelemetryClient::connect(program.socket()));
  EXPECT_EQ(TelemetryClient::connect(name).error().code, ErrorCode::not_found);
  EXPECT_EQ(TelemetryClient::connect(directory + "/1.sock").error().code, ErrorCode::not_found);
  EXPECT_THAT(telemetry_sockets({directory}), IsEmpty());
  EXPECT_THAT(telemetry_sockets({program.directory()}), ElementsAre(program.socket(), name));
}

// As in /tmp/pollux-UID of a user who lets all write there.
TEST(TelemetryClient, ASocketOfAStrangerIsNotTrusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can listen as another user";
  std::string directory = "/tmp/pollux-client-XXXXXX";
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  ASSERT_EQ(::chmod(directory.c_str(), 0777), 0);
  const std::string path = directory + "/1.sock";
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe2(ready.data(), O_CLOEXEC), 0);
  const FileDescriptor told(ready[0]);
  FileDescriptor tells(ready[1]);
  const pid_t child = ::_Fork();  // it has the pipe
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    const bool listens = ::setuid(kNobody) == 0 &&
                         ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                         ::listen(listener, 8) == 0 && ::write(tells.get(), "r", 1) == 1;
    if (listens) ::pause();
    ::_exit(1);
  }
  tells = FileDescriptor();
  char byte = 0;
  ASSERT_EQ(::read(told.get(), &byte, 1), 1);
  const auto stranger = TelemetryClient::connect(path);
  EXPECT_EQ(stranger ? std::nullopt : std::optional(stranger.error().code), ErrorCode::permission_denied);
  ASSERT_EQ(::chown(directory.c_str(), 65534, 65534), 0);
  EXPECT_TRUE(TelemetryClient::connect(path)) << "the owner of the directory listens";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  std::filesystem::remove_all(directory);
}

TEST(CopyCapture, AProgramThatGoesOnSendingIsLeft) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  std::thread program([connection = FileDescriptor(ends[0])] {
    // Blocks that a reader skips.
    const std::array<std::uint32_t, 3> block{1, sizeof block, sizeof block};
    const std::string bytes(reinterpret_cast<const char*>(block.data()), sizeof block);
    const auto end = std::chrono::steady_clock::now() + 15s;
    while (std::chrono::steady_clock::now() < end && say(connection.get(), bytes)) {
    }
  });
  const FileDescriptor nothing(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  RunningCapture capture{.socket = PeerSocket(FileDescriptor(ends[1])), .first = {}};
  const auto counts = copy_capture(std::move(capture), nothing.get(), {.stop = [] { return true; }});
  program.join();
  ASSERT_FALSE(counts);
  EXPECT_EQ(counts.error().code, ErrorCode::timeout) << counts.error().message();
}

}  // namespace
}  // namespace pollux::tool
