// SPDX-License-Identifier: BSD-3-Clause
// The subcommands of `pollux` that open a port, run in-process on an in-process card.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/open.hpp"
#include "unit/host/fake_network.hpp"

namespace pollux::tool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PortCommand : public testing::Test {
 protected:
  PortCommand() { std::filesystem::create_directories(folder); }
  ~PortCommand() override { std::filesystem::remove_all(folder); }

  int run(const std::string& arguments) {
    out.str("");
    err.str("");
    Environment environment{{}, *clock, network, {}, {}, out, err, context};
    environment.open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
    environment.confirm = confirm;
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    app.require_subcommand(1);
    add_nvm(app, environment, exit_code);
    add_regs(app, environment, exit_code);
    add_selftest(app, environment, exit_code);
    add_wol(app, environment, exit_code);
    return app.parse(arguments, out, err).value_or(exit_code);
  }
  [[nodiscard]] std::uint16_t word(std::uint32_t number) {
    Port port = open_unconfigured(context, "sim:0").value();
    return port.capability<Nvm>()->read_nvm(number, 1).value().front();
  }
  [[nodiscard]] std::string file(const std::string& name) const { return (folder / name).string(); }

  std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("pollux-port-command-" + std::to_string(::getpid()));
  host::test::FakeNetwork network;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  Context context{{.clock = clock, .huge_pages = HugePages::never, .arena_size = std::size_t{1} << 30}};
  std::ostringstream out;
  std::ostringstream err;
  Confirm confirm;
};

TEST_F(PortCommand, NvmShowsWhatTheCardSays) {
  EXPECT_EQ(run("nvm sim:0"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("256 of 16 bits"), HasSubstr("8086:10c9"), HasSubstr("02:00:00:82:57:60"),
                               HasSubstr("1.00, image 0"), HasSubstr("checksum          holds"),
                               HasSubstr("write protection  none")));
  EXPECT_EQ(run("nvm sim:0 --json"), kSuccess);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["words"], 256);
  EXPECT_EQ(json["checksum_holds"], true);
  EXPECT_EQ(json["protection"], "none");
  EXPECT_EQ(json["track_id"], nullptr);
  EXPECT_EQ(run("nvm ring:a:0"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("has no capability nvm"));
}

TEST_F(PortCommand, NvmSavesACopyBeforeItWritesAndRestoresIt) {
  const std::string arguments = "nvm sim:0 --write 0x1f=0x1234 --write 32=7 --yes --save " + file("before");
  EXPECT_EQ(run(arguments), kSuccess) << err.str();
  EXPECT_THAT(err.str(), HasSubstr("before.bin"));
  EXPECT_EQ(word(0x1F), 0x1234);
  EXPECT_EQ(word(32), 7);
  EXPECT_EQ(run(arguments), kSuccess);
  EXPECT_TRUE(std::filesystem::exists(file("before.1.bin"))) << "no copy is overwritten";
  EXPECT_EQ(run("nvm sim:0 --yes --restore " + file("before.bin") + " --save " + file("after")), kSuccess) << err.str();
  EXPECT_EQ(word(0x1F), 0);
  EXPECT_EQ(word(32), 0);
}

TEST_F(PortCommand, NvmAsksBeforeItWrites) {
  EXPECT_EQ(run("nvm sim:0 --write 0x1f=1 --save " + file("a")), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("no terminal"), HasSubstr("--yes")));
  std::string question;
  confirm = [&question](const std::string& text) {
    question = text;
    return false;
  };
  EXPECT_EQ(run("nvm sim:0 --write 0x1f=1 --save " + file("a")), kFailure);
  EXPECT_THAT(question, HasSubstr("sim:0"));
  EXPECT_EQ(word(0x1F), 0);
  EXPECT_FALSE(std::filesystem::exists(file("a.bin")));
  confirm = [](const std::string&) { return true; };
  EXPECT_EQ(run("nvm sim:0 --write 0x1f=1 --save " + file("a")), kSuccess) << err.str();
  EXPECT_EQ(word(0x1F), 1);
}

TEST_F(PortCommand, NvmRefusesTheCopyOfAnotherCard) {
  ASSERT_EQ(run("nvm sim:0 --dump " + file("copy.bin")), kSuccess) << err.str();
  EXPECT_EQ(std::filesystem::file_size(file("copy.bin")), 512u);
  EXPECT_EQ(run("nvm sim:0 --dump -"), kSuccess);
  std::ifstream saved(file("copy.bin"), std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(saved), std::istreambuf_iterator<char>()};
  EXPECT_EQ(out.str(), bytes);
  bytes[2 * 0x0D] = 0x12;
  const auto store = [&](std::size_t size) {
    std::ofstream(file("other.bin"), std::ios::binary) << bytes.substr(0, size);
    return run("nvm sim:0 --yes --restore " + file("other.bin") + " --save " + file("x"));
  };
  EXPECT_EQ(store(512), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("another card"), HasSubstr("--force")));
  EXPECT_EQ(store(510), kUsage);
  EXPECT_EQ(store(511), kUsage);
  EXPECT_EQ(run("nvm sim:0 --yes --restore " + file("none.bin")), kFailure);
  EXPECT_FALSE(std::filesystem::exists(file("x.bin"))) << "nothing was written";
}

TEST_F(PortCommand, NvmRestoresNothingThatIsNoFile) {
  for (const char* const other : {"/etc", "/dev/zero", "/dev/null"}) {
    EXPECT_EQ(run(std::string("nvm sim:0 --yes --restore ") + other), kUsage) << other;
    EXPECT_THAT(err.str(), AllOf(HasSubstr("is not a regular file"), HasSubstr("nvm --dump"))) << other;
  }
  std::ofstream(file("long.bin")) << std::string(200'000, 'x');
  EXPECT_EQ(run("nvm sim:0 --yes --restore " + file("long.bin")), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("has more than 131072 bytes"));
}

TEST_F(PortCommand, NvmProtects) {
  EXPECT_EQ(run("nvm sim:0 --protect all --yes"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("write protection  all"));
  EXPECT_EQ(run("nvm sim:0 --write 0x1f=1 --yes --save " + file("p")), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("write-protected"), HasSubstr("--protect none")));
  EXPECT_EQ(run("nvm sim:0 --protect none --yes"), kSuccess);
}

TEST_F(PortCommand, RegsShowFields) {
  EXPECT_EQ(run("regs sim:0 ctrl 'IVAR*'"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("CTRL          0x00000  0x"), HasSubstr("SPEED=0x2"), HasSubstr("IVAR[7]"),
                               HasSubstr("IVAR_MISC"), Not(HasSubstr("STATUS"))));
  EXPECT_EQ(run("regs sim:0 RDT[3] --json"), kSuccess);
  const auto json = nlohmann::json::parse(out.str());
  ASSERT_EQ(json["registers"].size(), 1U);
  EXPECT_EQ(json["registers"][0]["name"], "RDT[3]");
  EXPECT_EQ(json["registers"][0]["fields"]["TAIL"], 0);
  EXPECT_EQ(run("regs sim:0 NONE"), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("no register NONE"), HasSubstr("such as CTRL")));
  EXPECT_EQ(run("regs sim:2?card=virtio-net DEVICE_FEATURE_SELECT"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("DEVICE_FEATURE_SELECT 0x00000"));
  EXPECT_EQ(run("regs sim:2?card=virtio-net CTRL"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("such as DEVICE_FEATURE_SELECT"));
}

TEST_F(PortCommand, SelfTestNamesEachPart) {
  EXPECT_EQ(run("selftest sim:0"), kSuccess) << out.str() << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("registers   passed\n"), HasSubstr("loopback    passed\n")));
  EXPECT_EQ(run("selftest sim:0 --json"), kSuccess);
  const auto json = nlohmann::json::parse(out.str());
  ASSERT_EQ(json["parts"].size(), 5U);
  EXPECT_EQ(json["parts"][4]["part"], "link");
  EXPECT_EQ(json["parts"][4]["outcome"], "passed");
  EXPECT_EQ(run("selftest sim:0 --online"), kSuccess) << err.str();
  EXPECT_EQ(out.str(), "link        passed\n");
  EXPECT_EQ(run("selftest ring:a:0"), kFailure);
}

TEST_F(PortCommand, WolShowsAndSets) {
  EXPECT_EQ(run("wol sim:0"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("supported         magic, unicast, multicast, broadcast, link\n"),
                               HasSubstr("set               none\n")));
  EXPECT_EQ(run("wol sim:0 --set magic,link --json"), kSuccess) << err.str();
  EXPECT_EQ(nlohmann::json::parse(out.str())["set"], nlohmann::json::array({"magic", "link"}));
  EXPECT_EQ(run("wol sim:1 --set magic"), kFailure) << "its NVM does not allow it";
  EXPECT_EQ(run("wol sim:0 --set phone"), kUsage);
  EXPECT_EQ(run("wol sim:0 --set off"), kSuccess);
}

}  // namespace
}  // namespace pollux::tool
