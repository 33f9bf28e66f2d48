// SPDX-License-Identifier: BSD-3-Clause
// `pollux vf serve` on an in-process card, in virtual time. The functions are opened in the same process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fmt/format.h>
#include "common/cli.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "backends/sim/open_sim.hpp"
#include "commands.hpp"
#include "models/intel/igb/card.hpp"
#include "pollux/net/open_ports.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "pollux/open.hpp"
#include "support/settings_edits.hpp"
#include "support/vfio_user_client.hpp"
#include "unit/host/fake_network.hpp"
#include "vf_settings.hpp"

namespace pollux::tool {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr MacAddress kGiven{0x02, 0, 0, 0, 0, 0x01};
constexpr MacAddress kSecond{0x02, 0, 0, 0, 0, 0x02};
constexpr MacAddress kBroadcast{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
constexpr MacAddress kWished{0x02, 0, 0, 0, 0, 0x99};

/// A signal that comes when the command has already ended is ignored.
class LateSignal {
 public:
  LateSignal() : before_(std::signal(SIGINT, SIG_IGN)) {}
  LateSignal(const LateSignal&) = delete;
  LateSignal& operator=(const LateSignal&) = delete;
  ~LateSignal() { std::signal(SIGINT, before_); }

 private:
  void (*before_)(int);
};

class VfServe : public testing::Test {
 protected:
  VfServe() {
    clock->follow([this](Duration) { work(); });
  }
  using Step = std::function<void()>;
  /// Runs the command. When it serves, the steps run while it waits, with time for its own work between them; then the
  /// command is interrupted.
  int serve(const std::string& arguments, std::vector<Step> steps = {}) {
    out.str("");
    err.str("");
    steps.emplace_back([] { std::raise(SIGINT); });
    steps_ = std::move(steps);
    const Environment environment{{}, *clock, network, {}, {}, out, err, context, open_port};
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    add_vf(app, environment, exit_code);
    if (const auto ended = app.parse("vf serve " + arguments, out, err)) return *ended;
    steps_.clear();
    return exit_code;
  }
  /// The physical function as the command has set it.
  [[nodiscard]] VirtualFunctionState state(unsigned number) {
    return open_ports(context).at(0)->capability<VirtualFunctions>()->function(number).value();
  }
  /// Runs `call`, which waits for the physical function's driver, while that one is serviced, as the command does.
  template <class Call>
  auto answered(Call call) {
    answering_ = true;
    auto result = call();
    answering_ = false;
    return result;
  }
  [[nodiscard]] std::optional<Port> opened_function(const std::string& uri) {
    auto port = answered([&] { return open(context, uri, {.rx = {{.ring = 64}}, .tx = {{.ring = 64}}}); });
    EXPECT_TRUE(port) << port.error().message();
    return port ? std::optional<Port>(*std::move(port)) : std::nullopt;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  host::test::FakeNetwork network;
  std::ostringstream out;
  std::ostringstream err;
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  OpenPort open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };

 private:
  void work() {
    if (answering_ && !std::exchange(working_, true)) {
      EXPECT_TRUE(open_ports(context).at(0)->service());
      working_ = false;
    }
    if (in_step_ || steps_.empty() || out.str().find("serving") == std::string::npos) return;
    if (clock->now() < next_) return;
    in_step_ = true;
    steps_.front()();
    steps_.erase(steps_.begin());
    in_step_ = false;
    next_ = clock->now() + 500ms;
  }

  const LateSignal late_signal_;
  std::vector<Step> steps_;
  Time next_{};
  bool in_step_ = false;
  bool answering_ = false;
  bool working_ = false;
};

TEST_F(VfServe, AppliesSettingsAndAnswersAFunction) {
  std::optional<Port> function;
  const int status =
      serve("2 sim:0 --vf 0:mac=02:00:00:00:00:01,vlan=7,qos=3,rate=100 --vf 1:trust=on,link=off", {[&] {
              EXPECT_EQ(state(0).config, (VirtualFunctionConfig{.mac = kGiven, .vlan = 7, .qos = 3, .max_rate = 100}));
              EXPECT_EQ(state(1).config, (VirtualFunctionConfig{.trusted = true, .enabled = false}));
              function = opened_function("sim:0.vf0");
              ASSERT_TRUE(function);
              EXPECT_EQ(function->mac(), kGiven);
              EXPECT_EQ(answered([&] { return test::set_mac(*function, kWished); }).error().code,
                        ErrorCode::permission_denied);
            }});
  EXPECT_EQ(status, kSuccess) << err.str();
  EXPECT_THAT(
      out.str(),
      AllOf(HasSubstr("sim:0: 2 of 7 virtual functions\n"),
            HasSubstr("function 0: 02:00:00:00:00:01, VLAN 7, priority 3, at most 100 Mb/s, spoof check on, trust "
                      "off, link auto\n"),
            HasSubstr("function 1: an address of its own, spoof check on, trust on, link off\n"),
            HasSubstr("function 0: its driver has started\n"),
            HasSubstr("function 0: a request was refused: address_is_set\n"), HasSubstr(" 1 refused; received")));
  EXPECT_THAT(out.str(), Not(HasSubstr("function 1: its driver")));
}

TEST_F(VfServe, PrintsEventsAsJson) {
  std::optional<Port> function;
  const int status = serve("1 sim:0 --vf 0:spoofcheck=off --json",
                           {[&] { clock->advance(4s); }, [&] { function = opened_function("sim:0.vf0"); }});
  EXPECT_EQ(status, kSuccess) << err.str();
  std::vector<nlohmann::json> lines;
  std::istringstream text(out.str());
  for (std::string line; std::getline(text, line);) lines.push_back(nlohmann::json::parse(line));
  ASSERT_GE(lines.size(), 4U) << out.str();
  EXPECT_EQ(lines.front()["event"], "serving");
  EXPECT_EQ(lines.front()["functions"][0]["spoofcheck"], false);
  EXPECT_EQ(lines.front()["functions"][0]["mac"], nullptr);
  EXPECT_THAT(out.str(), HasSubstr("link up, 1000 Mb/s"));
  const auto address =
      std::ranges::find_if(lines, [](const auto& line) { return line.value("event", "") == "address"; });
  ASSERT_NE(address, lines.end()) << out.str();
  EXPECT_EQ((*address)["mac"], to_string(function->mac()));
  const auto& summary = lines.back()["summary"]["functions"][0];
  EXPECT_EQ(summary["driver_up"], true);
  EXPECT_GT(summary["requests"], 0);
}

TEST_F(VfServe, ReportsThatADriverHasEnded) {
  std::optional<Port> function;
  const int status = serve("1 sim:0", {[&] { function = opened_function("sim:0.vf0"); }, [&] { function.reset(); }});
  EXPECT_EQ(status, kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("function 0: was reset\n"), HasSubstr("function 0: its driver has ended\n")));
}

int count_of(const std::string& part, const std::string& text) {
  int count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

TEST_F(VfServe, ReportsADriverThatComesAndGoesBetweenTwoLooks) {
  EXPECT_EQ(serve("1 sim:0", {[&] { opened_function("sim:0.vf0").reset(); }, [] {}}), kSuccess) << err.str();
  EXPECT_EQ(count_of("function 0: its driver has started\n", out.str()), 1) << out.str();
  EXPECT_EQ(count_of("function 0: its driver has ended\n", out.str()), 1) << out.str();
}

TEST_F(VfServe, PrintsTenEventsOfAKindAMinuteAndTheNumberOfTheOthers) {
  std::vector<Step> steps(15, [&] { opened_function("sim:0.vf0").reset(); });
  steps.emplace_back([&] { clock->advance(1min); });
  steps.emplace_back([&] { opened_function("sim:0.vf0").reset(); });
  steps.emplace_back([] {});
  EXPECT_EQ(serve("2 sim:0", std::move(steps)), kSuccess) << err.str();
  EXPECT_EQ(count_of("function 0: its driver has started\n", out.str()), 10 + 1) << out.str();
  EXPECT_EQ(count_of("function 0: its driver has started; 5 times since the last line\n", out.str()), 1) << out.str();
}

TEST_F(VfServe, DoesNotTakeTheLastRequestOfADriverForAnotherDriver) {
  std::optional<Port> function;
  const auto ask_and_end = [&] {
    ASSERT_TRUE(function);
    EXPECT_TRUE(answered([&] { return test::set_mac(*function, kWished); }));
    function.reset();
  };
  const int status = serve("1 sim:0", {[&] { function = opened_function("sim:0.vf0"); }, ask_and_end, [] {}});
  EXPECT_EQ(status, kSuccess) << err.str();
  EXPECT_EQ(count_of("function 0: its driver has started\n", out.str()), 1) << out.str();
  EXPECT_EQ(count_of("function 0: its driver has ended\n", out.str()), 1) << out.str();
}

TEST_F(VfServe, EndsWithTheErrorOfTheCard) {
  const auto remove = [this] {
    context.service<sim::WireRegistry>().find(0)->with_card(
        0, [](DeviceModel& card) { static_cast<models::igb::Card&>(card).set_removed(true); });
  };
  // A removal is noticed within a second. Each of the other steps takes half of one.
  EXPECT_EQ(serve("1 sim:0", {remove, [] {}, [] {}, [] {}}), kFailure);
  EXPECT_THAT(out.str(), HasSubstr("serving"));
  EXPECT_THAT(err.str(), HasSubstr("removed"));
}

TEST_F(VfServe, RefusesWrongSettings) {
  for (const auto& [arguments, message] : {std::pair{"0:mac=02:00", "mac is an address"},
                                           {"0:vlan=5000", "outside 1 to 4,094"},
                                           {"0:vlan=x", "vlan is 0"},
                                           {"0:rate=", "Mb/s"},
                                           {"0:qos=3", "set the vlan"},
                                           {"0:trust=yes", "on or off"},
                                           {"0:link=on", "cannot keep"},
                                           {"0:frob=1", "settings are mac"},
                                           {"0:trust", "on or off"},
                                           {"0:", "settings are mac"},
                                           {"trust=on", "write --vf 0:"},
                                           {"4:trust=on", "they are counted from 0"},
                                           {"0:trust=on --vf 0:vlan=7", "in one --vf"}}) {
    EXPECT_EQ(serve(std::string("1 sim:0 --vf ") + arguments), kUsage) << arguments;
    EXPECT_THAT(err.str(), AllOf(HasSubstr(message), HasSubstr("hint: "))) << arguments;
    EXPECT_EQ(out.str(), "") << arguments;
  }
  EXPECT_EQ(serve("8 sim:0"), kUsage);
  EXPECT_EQ(serve("1 null:"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("has no capability virtual_functions"));
}

TEST_F(VfServe, RefusesWrongSockets) {
  EXPECT_EQ(serve("1 sim:0 --socket 9=/tmp/x"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--socket 0=/tmp/function"));
  EXPECT_EQ(serve("1 sim:0 --socket 0=/no/such/folder/x"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("/no/such/folder"));
}

/// The command in real time on a thread of its own, with two functions exported by sockets.
class VfServeSocket : public testing::Test {
 protected:
  VfServeSocket() {
    const Environment environment{{}, clock, network, {}, {}, out, err, context, open_port};
    command = std::thread([this, environment] {
      cli::App app("", "pollux");
      int exit_code = kSuccess;
      add_vf(app, environment, exit_code);
      const std::string line = fmt::format("vf serve 2 sim:0 --vf 0:mac={} --vf 1:mac={} --socket 0={} --socket 1={}",
                                           to_string(kGiven), to_string(kSecond), paths[0], paths[1]);
      status = app.parse(line, out, err).value_or(exit_code);
      has_ended = true;
    });
    for (const std::string& path : paths) {
      while (!has_ended && !std::filesystem::exists(path)) std::this_thread::sleep_for(1ms);
    }
  }
  ~VfServeSocket() override {
    if (command.joinable()) end();
  }
  void end() {
    if (!has_ended) std::raise(SIGINT);
    command.join();
  }
  static std::string path_of(int function) {
    const auto name = fmt::format("pollux-vf-serve-{}-{}", ::getpid(), function);
    return (std::filesystem::temp_directory_path() / name).string();
  }

  const LateSignal late_signal;
  const std::array<std::string, 2> paths{path_of(0), path_of(1)};
  SteadyClock clock;
  host::test::FakeNetwork network;
  std::ostringstream out;  // read them after `end`
  std::ostringstream err;
  Context context{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  OpenPort open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  std::atomic<bool> has_ended{false};
  std::atomic<int> status{-1};
  std::thread command;
};

/// A program that drives an exported function, as another process would.
class FunctionProgram {
 public:
  explicit FunctionProgram(const std::string& path) {
    auto made = Mempool::create(own_, {.count = 512});
    EXPECT_TRUE(made) << made.error().message();
    pool_ = *std::move(made);
    auto device = std::make_unique<test::VfioUserDevice>(own_, path, [] { std::this_thread::sleep_for(300us); });
    auto opened = open(own_, std::move(device), {.rx = {{.pool = *pool_, .ring = 64}}, .tx = {{.ring = 64}}});
    EXPECT_TRUE(opened) << opened.error().message();
    if (opened) port_ = *std::move(opened);
  }
  [[nodiscard]] Port& port() { return *port_; }
  [[nodiscard]] bool is_open() const { return port_.has_value(); }
  /// Sends a frame to `destination`.
  void send(const MacAddress& destination) {
    MbufPtr mbuf = pool_->allocate();
    std::uint8_t* const bytes = mbuf->append(60);
    std::fill_n(bytes, 60, std::uint8_t{0x5A});
    std::ranges::copy(destination, bytes);
    std::ranges::copy(port_->mac(), bytes + 6);
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    ASSERT_EQ(port_->tx(0).tx_burst(burst), 1U);
  }
  /// Whether a frame arrives from `source` in time.
  [[nodiscard]] bool receives(const MacAddress& source) {
    Burst<32> burst;
    for (int tries = 0; tries < 3000; ++tries) {
      port_->rx(0).rx_burst(burst);
      bool found = false;
      for (const Mbuf& mbuf : burst) found = found || std::equal(source.begin(), source.end(), mbuf.data() + 6);
      burst.drop(received_);
      if (found) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

 private:
  Context own_{{.huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  std::optional<Mempool> pool_;
  std::optional<Port> port_;
  DropCounter received_{"received"};
};

TEST_F(VfServeSocket, AnswersADriverInAnotherContext) {
  ASSERT_FALSE(has_ended) << err.str();
  {
    FunctionProgram function(paths[0]);
    ASSERT_TRUE(function.is_open());
    EXPECT_EQ(function.port().info().driver, "igbvf");
    EXPECT_EQ(function.port().mac(), kGiven);
    EXPECT_EQ(test::set_mac(function.port(), kWished).error().code, ErrorCode::permission_denied);
  }
  end();
  EXPECT_EQ(status, kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("function 0: its driver has started"), HasSubstr("refused: address_is_set")));
  for (const std::string& path : paths) EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(VfServeSocket, CarriesFramesBetweenTwoPrograms) {
  ASSERT_FALSE(has_ended) << err.str();
  FunctionProgram first(paths[0]);
  FunctionProgram second(paths[1]);
  ASSERT_TRUE(first.is_open() && second.is_open());
  for (int round = 0; round < 3; ++round) {
    first.send(kSecond);
    EXPECT_TRUE(second.receives(kGiven)) << round;
    second.send(kBroadcast);
    EXPECT_TRUE(first.receives(kSecond)) << round;
  }
}

TEST(VfSettings, KeepDefaultsForWhatIsNotNamed) {
  const auto parsed = parse_function_settings("3:spoofcheck=off");
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_EQ(parsed->number, 3U);
  EXPECT_EQ(parsed->config, (VirtualFunctionConfig{.spoof_check = false}));
  EXPECT_EQ(settings_json(parsed->config), (nlohmann::json{{"mac", nullptr},
                                                           {"vlan", 0},
                                                           {"qos", 0},
                                                           {"rate", 0},
                                                           {"spoofcheck", false},
                                                           {"trust", false},
                                                           {"link", "auto"}}));
}

}  // namespace
}  // namespace pollux::tool
