// SPDX-License-Identifier: BSD-3-Clause
// A successor that gets a wrong record says what is wrong with it, and the old program goes on.
#include <sys/eventfd.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "xdp_handover_fixture.hpp"

namespace pollux::ports {
namespace {

using handover::Json;

/// Passes the messages of the old program on, after `edit` has changed them.
class Between {
 public:
  using Edit = std::function<void(handover::Message&)>;
  Between(const std::string& path, FileDescriptor old, Edit edit)
      : listener_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::jthread([this, old = std::move(old), edit = std::move(edit)] {
      const FileDescriptor next(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      for (const char* kind : {"hello", "program", "port", "freeze", "queue", "frozen", "taken"}) {
        const bool is_asked = std::string_view("hello freeze taken").find(kind) != std::string_view::npos;
        auto message = handover::receive(is_asked ? next.get() : old.get(), kind);
        if (!message) return;
        if (!is_asked) edit(*message);
        std::vector<int> descriptors;
        for (const FileDescriptor& one : message->descriptors) descriptors.push_back(one.get());
        if (!handover::send(is_asked ? old.get() : next.get(), message->json, descriptors)) return;
      }
    });
  }

 private:
  FileDescriptor listener_;
  std::jthread thread_;
};

TEST_F(XdpHandover, AWrongRecordIsAnErrorWithAReason) {
  struct Case {
    const char* message;
    std::function<void(handover::Message&)> edit;
    const char* why;
  };
  const auto details = [](const char* name, Json value) {
    return [=](handover::Message& message) { message.json["details"][name] = value; };
  };
  const auto queue = [](const char* name, Json value) {
    return [=](handover::Message& message) { message.json[name] = value; };
  };
  const auto exchanged = [](std::size_t index) {
    return [=](handover::Message& message) { message.descriptors[index] = FileDescriptor(::eventfd(0, EFD_CLOEXEC)); };
  };
  const std::vector<Case> cases{
      {"program", [](auto& m) { m.json["version"] = 2; }, "version 2"},
      {"program", [](auto& m) { m.json.erase("version"); }, "'version'"},
      {"program", [](auto& m) { m.json["ports"] = 257; }, "'ports'"},
      {"program", [](auto& m) { m.descriptors.clear(); }, "no listening socket"},
      {"port", [](auto& m) { m.descriptors.pop_back(); }, "'descriptors'"},
      {"port", [](auto& m) { m.json["descriptors"][3] = "memoir"; }, "no descriptor 'memory'"},
      {"port", details("memory", 5), "'offset'"},
      {"port", details("memory", {{"offset", 0}, {"bytes", 0}, {"data", 0}, {"room", 1}}), "no bytes"},
      {"port", details("memory", {{"offset", 0}, {"bytes", 1ULL << 46}, {"data", 0}, {"room", 1}}), "not its memory"},
      {"port", details("memory", {{"offset", 1 << 20}, {"bytes", 4096}, {"data", 0}, {"room", 4096}}),
       "a buffer is not"},
      {"port", details("rings", Json::array()), "its rings"},
      {"port", details("rings", {5}), "other rings"},
      {"port", details("rings", {{{"rx", 500}, {"tx", 512}, {"chains", 1}}}), "other rings"},
      {"port", details("slots", {0, 1}), "a slot"},
      {"port", details("slots", {3}), "were changed"},
      {"port", details("queues", 0), "numbers of queues"},
      {"port", details("hints", "x"), "options of the URI"},
      {"port", exchanged(0), "not its XDP program"},
      {"port", exchanged(2), "not its XDP program"},
      {"port", exchanged(3), "not its memory"},
      {"port", exchanged(4), "not an AF_XDP socket"},
      {"queue", queue("posted", 65), "other rings"},
      {"queue", queue("in_flight", 513), "other rings"},
      {"queue", queue("free", {1}), "a buffer is not"},
      {"queue", queue("given", {1ULL << 62}), "a buffer is not"},
      {"queue", queue("free", "x"), "'free'"},
      {"frozen", [](auto& m) { m.json["message"] = "thawed"; }, "'frozen' was expected"},
  };
  const std::size_t files = open_files();
  int number = 0;
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.message) + ": " + one.why);
    {
      const std::string path = file("between" + std::to_string(number++));
      const Between between(path, connected(), [&](handover::Message& message) {
        if (message.json["message"] == one.message) one.edit(message);
      });
      Program next;
      const auto taken = next.take_over(path);
      ASSERT_FALSE(taken);
      EXPECT_THAT(taken.error().message(), testing::HasSubstr(one.why));
    }
    expect_echo(1);
    ASSERT_FALSE(old_.has_left());
    ASSERT_TRUE(soon([&] { return open_files() == files; })) << open_files() - files << " descriptors leak";
  }
}

}  // namespace
}  // namespace pollux::ports
