// SPDX-License-Identifier: BSD-3-Clause
// `pollux link`, `pollux phy` and `pollux led` on in-process cards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "pollux/open.hpp"
#include "unit/host/fake_network.hpp"

namespace pollux::tool {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

class LinkCommand : public testing::Test {
 protected:
  int run(const std::string& arguments) {
    out.str("");
    err.str("");
    const Environment environment{{}, *clock, network, {}, {}, out, err, context, open_port};
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    app.require_subcommand(1);
    add_led(app, environment, exit_code);
    add_link(app, environment, exit_code);
    add_phy(app, environment, exit_code);
    return app.parse(arguments, out, err).value_or(exit_code);
  }
  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out.str()); }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  host::test::FakeNetwork network;
  std::ostringstream out;
  std::ostringstream err;
  Context context{[this] {
    ContextOptions options;
    options.clock = clock;
    return options;
  }()};
  OpenPort open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
};

TEST_F(LinkCommand, ShowsTheLink) {
  EXPECT_EQ(run("link sim:0"), kSuccess) << err.str();
  EXPECT_THAT(out.str(),
              AllOf(HasSubstr("link              up, 1000 Mb/s, full duplex"),
                    HasSubstr("mode              negotiated"), HasSubstr("PHY               IGP03, id 0x02a8"),
                    HasSubstr("pairs             straight (MDI)"), HasSubstr("cable             not known")));
}

TEST_F(LinkCommand, SetsModes) {
  EXPECT_EQ(run("link sim:0 --advertise 10/half,100/full --json"), kSuccess) << err.str();
  EXPECT_EQ(json()["speed"], 100);
  EXPECT_EQ(json()["advertised"], nlohmann::json::array({"10/half", "100/full"}));
  EXPECT_EQ(json()["partner"]["negotiates"], true);
  EXPECT_EQ(run("link sim:0 --speed 10 --duplex half --json"), kSuccess) << err.str();
  EXPECT_EQ(json()["up"], true);
  EXPECT_EQ(json()["forced"], "10/half");
  EXPECT_EQ(json()["duplex"], "half");
  EXPECT_EQ(json()["autonegotiated"], false);
  EXPECT_EQ(run("link sim:0 --restart --autoneg --up --json"), kSuccess) << err.str();
  EXPECT_EQ(json()["speed"], 1000);
  EXPECT_EQ(run("link sim:0 --down"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("the PHY is stopped"));
}

TEST_F(LinkCommand, ReportsWhatIsWrong) {
  for (const char* arguments :
       {"link", "link sim:0 --duplex half", "link sim:0 --speed 11", "link sim:0 --advertise 100/both",
        "link sim:0 --speed 10 --advertise 100/full", "link sim:0 --up --down", "phy sim:0 --read 32",
        "phy sim:0 --write 4", "phy sim:0 --write 4=0x10000", "phy sim:0 --page 2048", "led sim:0 --blink x"}) {
    EXPECT_EQ(run(arguments), kUsage) << arguments;
  }
  EXPECT_EQ(run("link sim:0 --speed 1000"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("hint: 1000 Mb/s and more need negotiation"));
  for (const char* arguments : {"link null:", "phy null:", "led null:"}) {
    EXPECT_EQ(run(arguments), kFailure) << arguments;
    EXPECT_THAT(err.str(), ContainsRegex("has no (capability|setting) [a-z_]+\n")) << arguments;
  }
}

TEST_F(LinkCommand, AccessesThePhy) {
  EXPECT_EQ(run("phy sim:0"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr(" 2  0x02a8\n"), HasSubstr("11  -\n")));
  EXPECT_EQ(run("phy sim:0 --write 4=0x01e1 --read 4,2 --json"), kSuccess) << err.str();
  EXPECT_EQ(json()["registers"][0]["value"], 0x01E1);
  EXPECT_EQ(json()["registers"][1]["number"], 2);
  EXPECT_EQ(run("phy sim:0 --read 11"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("MDIC.ERROR"));
}

TEST_F(LinkCommand, LetsTheLightBlink) {
  const Duration before = clock->now();
  EXPECT_EQ(run("led sim:0 --blink 30"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("sim:0: the light blinks for 30 s"));
  EXPECT_GE(clock->now() - before, std::chrono::seconds(30));
  EXPECT_EQ(run("led sim:0 --blink 1 --steady --json"), kSuccess) << err.str();
  EXPECT_EQ(json()["mode"], "on");
}

}  // namespace
}  // namespace pollux::tool
