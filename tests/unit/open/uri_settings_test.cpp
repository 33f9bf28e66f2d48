// SPDX-License-Identifier: BSD-3-Clause
// Settings that a URI names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "pollux/laboratory.hpp"
#include "pollux/open.hpp"

namespace pollux {
namespace {

using testing::HasSubstr;

class UriSettings : public testing::Test {
 protected:
  UriSettings() { add_laboratory(context_); }
  Error refused(std::string_view uri) {
    const auto port = open(context_, uri);
    EXPECT_FALSE(port) << uri;
    return port ? Error{} : port.error();
  }
  Context context_;
};

TEST_F(UriSettings, HoldOverThoseOfOpen) {
  const auto port = open(context_, "sim:0?set.mtu=9000,set.vlan_stripping=on,set.rx.0.ring=128",
                         {.rx = {{.ring = 64}}, .mtu = 1300, .all_multicast = true});
  ASSERT_TRUE(port) << port.error().message();
  const Settings settings = port->settings();
  EXPECT_EQ(settings.mtu, 9000U);
  EXPECT_TRUE(settings.vlan_stripping);
  EXPECT_EQ(settings.rx.front().ring, 128);
  EXPECT_TRUE(settings.all_multicast) << "the URI does not name it";
  EXPECT_EQ(port->info().name, "sim:0");
}

TEST_F(UriSettings, HoldOverThoseOfTheFirstChange) {
  auto port = open_unconfigured(context_, "sim:0?set.mtu=9000,set.mac=02:00:00:00:00:07");
  ASSERT_TRUE(port) << port.error().message();
  ASSERT_TRUE(port->change([](Settings& now) { now.promiscuous = true; })) << "there are no queues yet";
  ASSERT_TRUE(port->change([](Settings& now) {
    now.rx.resize(1);
    now.tx.resize(1);
    now.mtu = 1300;
  }));
  EXPECT_EQ(port->settings().mtu, 9000U);
  EXPECT_TRUE(port->settings().promiscuous);
  EXPECT_EQ(port->mac(), (MacAddress{2, 0, 0, 0, 0, 7}));
  ASSERT_TRUE(port->change([](Settings& now) { now.mtu = 1300; }));
  EXPECT_EQ(port->settings().mtu, 1300U) << "a later change holds over both";
}

TEST_F(UriSettings, StandAmongOtherOptions) {
  for (const std::string uri : {"sim:0?set.mtu=1300,delay=1ms,loss=0.5", "sim:0?delay=1ms,set.mtu=1300,loss=0.5",
                                "sim:0?delay=1ms,loss=0.5,set.mtu=1300"}) {
    const auto port = open(context_, uri);
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_EQ(port->settings().mtu, 1300U) << uri;
    EXPECT_EQ(port->info().name, "sim:0");
  }
  const auto wrapped = open(context_, "fault:removal@100000,sim:0?set.mtu=1300");
  ASSERT_TRUE(wrapped) << wrapped.error().message();
  EXPECT_EQ(wrapped->settings().mtu, 1300U);
}

TEST_F(UriSettings, AreOfSoftwarePortsToo) {
  const auto port = open(context_, "null:?rx=64,set.count_bytes=on");
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_TRUE(port->settings().count_bytes);
}

TEST_F(UriSettings, NameWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> wrong{
      {"sim:0?set.mtu=big", "'sim:0?set.mtu=big': 'mtu' is not a whole number"},
      {"sim:0?set.mut=1500", "there is no member 'mut'"},
      {"sim:0?set.mtu", "'mtu' has no value"},
      {"sim:0?set.=1", "names no setting"},
      {"sim:0?set.mtu=1500,set.mtu=1300", "'mtu=1300' is given twice"},
      {"sim:0?set.mtu=none,set.mtu=1300", "'mtu=1300' is given twice"},
      {"sim:0?set.vlans=none,set.vlans.7=on", "'vlans.7=on' is within one that has a value"},
      {"sim:0?set.rx.70.ring=64", "'rx' has no element '70'"},
      {"sim:0?set.mtu=1", "mtu = 1 is outside"},
      {"null:?set.vlan_stripping=on", "null: (no card) has no setting vlan_stripping"},
      {"sim:0?set.mtu=1300,color=red", "unknown option 'color'"},
  };
  for (const auto& [uri, what] : wrong) EXPECT_THAT(refused(uri).what, HasSubstr(what)) << uri;
  EXPECT_THAT(refused("sim:0?set.rx.3.ring=64").what, HasSubstr("'rx' has no element '3'")) << "the port has one queue";
  const auto device = open_device(context_, "sim:0?set.mtu=1300");
  ASSERT_FALSE(device);
  EXPECT_THAT(device.error().what, HasSubstr("unknown option 'set.mtu'")) << "a device has no settings";
  const auto unconfigured = open_unconfigured(context_, "sim:0?set.mut=1300");
  ASSERT_FALSE(unconfigured) << "said at once, not when the port gets queues";
}

}  // namespace
}  // namespace pollux
