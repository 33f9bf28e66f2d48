// SPDX-License-Identifier: BSD-3-Clause
// The subcommands of `pollux`, run in-process on a fake machine of regular files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "common/cli.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands.hpp"
#include "pollux/open.hpp"
#include "unit/host/fake_network.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::tool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Command : public testing::Test {
 protected:
  Command() {
    machine.load_driver("vfio-pci");
    machine.write(machine.paths.run / "pci.ids", "8086  Intel\n\t10c9  Card\nC 02  Network\n\t00  Ethernet\n");
    machine.paths.pci_ids = machine.paths.run / "pci.ids";
  }

  int run(const std::string& arguments) {
    out.str("");
    err.str("");
    const Environment environment{machine.paths, machine.clock, network, {}, &driver_of, out, err, context, open_port};
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    app.require_subcommand(1);
    add_list(app, environment, exit_code);
    add_bind(app, environment, exit_code);
    add_unbind(app, environment, exit_code);
    add_addr(app, environment, exit_code);
    add_vf(app, environment, exit_code);
    add_info(app, environment, exit_code);
    add_time(app, environment, exit_code);
    return app.parse(arguments, out, err).value_or(exit_code);
  }
  /// Expects that nothing was written to the machine.
  void expect_unchanged() {
    EXPECT_TRUE(machine.events().empty());
    for (const pci::Address address : {first, second, disk}) {
      EXPECT_EQ(machine.read(machine.device(address) / "driver_override"), "(null)\n") << address.to_string();
      EXPECT_FALSE(std::filesystem::exists(machine.record(address))) << address.to_string();
    }
    EXPECT_EQ(machine.read(machine.paths.sys / "bus/pci/drivers_probe"), "");
    EXPECT_EQ(machine.read(machine.paths.sys / "bus/pci/drivers/igb/unbind"), "");
  }

  static std::string driver_of(std::uint16_t vendor, std::uint16_t device) {
    return vendor == 0x8086 && device == 0x10c9 ? "igb" : "";
  }

  pci::test::FakeMachine machine;
  host::test::FakeNetwork network;
  std::ostringstream out;
  std::ostringstream err;
  Context context;
  OpenPort open_port;
  pci::Address first = machine.add({.address = "0000:01:00.0", .group = 7, .interface = "eth1"});
  pci::Address second = machine.add({.address = "0000:02:00.0", .group = 8, .device = "0x15f3"});
  pci::Address disk = machine.add({.address = "0000:03:00.0", .driver = "nvme", .group = 9, .class_code = "0x010802"});
};

TEST_F(Command, ListShowsNetworkControllers) {
  EXPECT_EQ(run("list"), kSuccess);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("0000:01:00.0  igb     igb     7      1     eth1       Intel Card\n"),
                               HasSubstr("0000:02:00.0  -       igb     8      1     -          8086:15f3 Intel\n"),
                               Not(HasSubstr("0000:03:00.0"))));
  EXPECT_EQ(run("list --all"), kSuccess);
  EXPECT_THAT(out.str(), HasSubstr("0000:03:00.0"));
}

TEST_F(Command, ListSaysThatThereIsNone) {
  std::filesystem::remove_all(machine.device(first));
  std::filesystem::remove_all(machine.device(second));
  EXPECT_EQ(run("list"), kSuccess);
  EXPECT_EQ(out.str(), "no network controllers; --all lists every PCI device\n");
}

TEST_F(Command, ListFailsWithoutPci) {
  std::filesystem::remove_all(machine.paths.sys / "bus/pci");
  EXPECT_EQ(run("list"), kFailure);
  EXPECT_EQ(out.str(), "");
  EXPECT_THAT(err.str(), AllOf(HasSubstr("pollux: there is no PCI bus"), HasSubstr("hint: mount")));
}

TEST_F(Command, ListPrintsJson) {
  EXPECT_EQ(run("list --json"), kSuccess);
  const auto json = nlohmann::json::parse(out.str());
  ASSERT_EQ(json["devices"].size(), 2U);
  const auto& port = json["devices"][0];
  EXPECT_EQ(port["address"], "0000:01:00.0");
  EXPECT_EQ(port["vendor_id"], "8086");
  EXPECT_EQ(port["driver"], "igb");
  EXPECT_EQ(port["iommu_group"], 7);
  EXPECT_EQ(port["numa_node"], 1);
  EXPECT_EQ(port["interfaces"], nlohmann::json::array({"eth1"}));
  EXPECT_EQ(port["supported"], true);
  EXPECT_EQ(json["devices"][1]["supported"], false);
  EXPECT_EQ(json["devices"][1]["pollux_driver"], nullptr);
}

TEST_F(Command, JsonIsValidForBytesThatAreNotText) {
  machine.write(machine.paths.run / "pci.ids", "8086  In\xff\xfetel\n");
  EXPECT_EQ(run("list --json"), kSuccess);
  EXPECT_TRUE(nlohmann::json::accept(out.str()));
}

TEST_F(Command, BindAndUnbind) {
  EXPECT_EQ(run("bind 0000:01:00.0 vfio:02:00.0"), kSuccess) << err.str();
  EXPECT_EQ(out.str(), "0000:01:00.0: igb -> vfio-pci (group 7)\n0000:02:00.0: igb -> vfio-pci (group 8)\n");
  EXPECT_EQ(machine.driver_of(second), "vfio-pci");
  EXPECT_EQ(run("bind 0000:01:00.0"), kSuccess);
  EXPECT_EQ(out.str(), "0000:01:00.0: stays with vfio-pci (group 7)\n");
  EXPECT_EQ(run("unbind 0000:01:00.0 0000:02:00.0"), kSuccess) << err.str();
  EXPECT_EQ(out.str(), "0000:01:00.0: vfio-pci -> igb (group 7)\n0000:02:00.0: vfio-pci -> igb (group 8)\n");
  EXPECT_EQ(machine.driver_of(first), "igb");
}

TEST_F(Command, BindChangesNothingIfOneOfTwoIsWrong) {
  EXPECT_EQ(run("bind 0000:01:00.0 0000:99:00.0"), kFailure);
  EXPECT_EQ(out.str(), "");
  EXPECT_THAT(err.str(), AllOf(HasSubstr("there is no PCI device 0000:99:00.0"), HasSubstr("hint:")));
  expect_unchanged();
}

TEST_F(Command, BindGivesAGroupToAUser) {
  machine.write(machine.paths.dev / "vfio/7", "");
  EXPECT_EQ(run("bind 0000:01:00.0 --user root"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("/dev/vfio/7 belongs to root"), HasSubstr("memlock")));
}

TEST_F(Command, BindChangesNothingForAUserWithoutAnIommu) {
  std::filesystem::remove(machine.device(first) / "iommu_group");
  machine.write(machine.paths.sys / "module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n");
  EXPECT_EQ(run("bind 0000:01:00.0 --user root"), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("without an IOMMU only root can open a device"), HasSubstr("without --user")));
  expect_unchanged();
  EXPECT_EQ(run("bind 0000:01:00.0"), kSuccess) << err.str();
}

TEST_F(Command, BindChangesNothingForAnUnknownUser) {
  EXPECT_EQ(run("bind 0000:01:00.0 --user no-such-user-here"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("no-such-user-here"));
  expect_unchanged();
}

TEST_F(Command, BindRefusesWhatTheHostUsesUnlessForced) {
  network.state = host::test::host_with_port("0000:01:00.0");
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  EXPECT_EQ(run("bind 0000:01:00.0"), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("192.0.2.7/24"), HasSubstr("--force")));
  EXPECT_EQ(run("bind --force 0000:01:00.0"), kSuccess) << err.str();
}

TEST_F(Command, InfoShowsThePort) {
  machine.add({.address = "0000:01:00.1", .group = 7});
  EXPECT_EQ(run("info vfio:0000:01:00.0"), kSuccess);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("PCI device 0000:01:00.0"), HasSubstr("Intel Card"),
                               HasSubstr("7: 0000:01:00.0 (igb), 0000:01:00.1 (igb, blocks VFIO)"),
                               HasSubstr("8086:10c9, subsystem 8086:a03c, revision 01")));
  EXPECT_EQ(run("info --json 01:00.0"), kSuccess);
  EXPECT_EQ(nlohmann::json::parse(out.str())["pci"]["device_id"], "10c9");
  EXPECT_EQ(run("info 0000:99:00.0"), kFailure);
}

TEST_F(Command, InfoListsThePortsCapabilities) {
  open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  EXPECT_EQ(run("info sim:0"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("capabilities      link_control, "));
  EXPECT_EQ(run("info --json null:"), kSuccess) << err.str();
  EXPECT_TRUE(nlohmann::json::parse(out.str()).at("port").at("capabilities").empty());
}

TEST_F(Command, AddrShowsAndSetsWhatAPortReceives) {
  open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  EXPECT_EQ(run("addr sim:0 --mac 02:00:00:00:00:07 --unicast 02:00:00:00:00:01,02:00:00:00:00:02"), kSuccess)
      << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("address    02:00:00:00:00:07\n"), HasSubstr("multicast  -"),
                               HasSubstr("unicast    02:00:00:00:00:01 02:00:00:00:00:02 (at most 23)")));
  EXPECT_EQ(run("addr sim:0 --multicast 01:00:5e:00:00:01 --json"), kSuccess) << err.str();
  const auto shown = nlohmann::json::parse(out.str());
  EXPECT_EQ(shown.at("port"), "sim:0");
  EXPECT_EQ(shown.at("max_unicast"), 23);
  EXPECT_EQ(shown.at("multicast").at(0), "01:00:5e:00:00:01");
  EXPECT_EQ(run("addr sim:0 --unicast 02:00:00:00:00"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("six bytes"));
  EXPECT_EQ(run("addr sim:0 --unicast 01:00:5e:00:00:01"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("multicast addresses"));
  EXPECT_EQ(run("addr null: --unicast 02:00:00:00:00:01"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("no setting unicast"));
  EXPECT_EQ(run("addr"), kUsage);
}

TEST_F(Command, AddrSetsVlansAndReceiveModes) {
  open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  EXPECT_EQ(run("addr sim:0 --vlan 7,100 --all-multicast --promiscuous"), kSuccess) << err.str();
  EXPECT_THAT(out.str(),
              AllOf(HasSubstr("VLANs      7 100\n"), HasSubstr("multicast  all\n"), HasSubstr("promiscuous")));
  EXPECT_EQ(run("addr sim:0 --vlan 9 --promiscuous --json"), kSuccess) << err.str();
  const auto shown = nlohmann::json::parse(out.str());
  EXPECT_EQ(shown.at("vlans"), nlohmann::json::array({9}));
  EXPECT_EQ(shown.at("promiscuous"), true);
  EXPECT_EQ(shown.at("all_multicast"), false);
  EXPECT_EQ(run("addr sim:0"), kSuccess);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("VLANs      -\n"), Not(HasSubstr("promiscuous"))));
  EXPECT_EQ(run("addr sim:2?card=virtio-net --vlan 7"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), HasSubstr("VLANs      7\n"));
  EXPECT_EQ(run("addr sim:0 --vlan 4095"), kUsage);
  EXPECT_EQ(run("addr null: --vlan 7"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("no setting vlans"));
}

TEST_F(Command, VfShowsCreatesAndRemovesVirtualFunctions) {
  EXPECT_EQ(run("vf list sim:0"), kFailure) << "no port may be opened";
  open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  EXPECT_EQ(run("vf list sim:0"), kSuccess);
  EXPECT_EQ(out.str(), "sim:0: 0 of 7 virtual functions\n");
  EXPECT_EQ(run("vf create 2 sim:0"), kSuccess);
  EXPECT_EQ(out.str(), "sim:0: 2 of 7 virtual functions\n");
  EXPECT_EQ(run("vf create 3 sim:0 --json"), kSuccess);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json, (nlohmann::json{{"port", "sim:0"}, {"functions", 3}, {"max_functions", 7}}));
  EXPECT_EQ(run("vf remove sim:0"), kSuccess);
  EXPECT_EQ(out.str(), "sim:0: 0 of 7 virtual functions\n");
  EXPECT_EQ(run("vf create 2 null:"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("no capability virtual_functions"));
  EXPECT_EQ(run("vf create 8 sim:0"), kUsage);
  EXPECT_EQ(run("vf"), kUsage);
}

TEST_F(Command, TimeShowsAndSetsTheClock) {
  open_port = [this](const std::string& uri) { return open_unconfigured(context, uri); };
  EXPECT_EQ(run("time sim:0 --set 1500000000 --adjust 3000000000"), kSuccess) << err.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("time       4.5"), HasSubstr("frequency  +0.0 ppb"), HasSubstr("16 ns")));
  EXPECT_EQ(run("time sim:0 --set now --frequency 1000 --json"), kSuccess) << err.str();
  const auto shown = nlohmann::json::parse(out.str());
  EXPECT_NEAR(shown.at("frequency_ppb").get<double>(), 1000, 60);
  EXPECT_EQ(shown.at("port"), "sim:0");
  EXPECT_GT(shown.at("time_ns").get<std::int64_t>(), std::int64_t{1'700'000'000} * 1'000'000'000);
  EXPECT_EQ(shown.at("tick_ns"), 16);
  EXPECT_EQ(run("time sim:0 --set tomorrow"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("--set now"));
  EXPECT_EQ(run("time sim:0 --frequency 2e9"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("ppb"));
  EXPECT_EQ(run("time null:"), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("null: has no capability clock"), HasSubstr("hint: use another port")));
  EXPECT_EQ(run("time"), kUsage);
}

TEST_F(Command, UsageErrorsAreReported) {
  for (const char* arguments :
       {"", "frob", "bind", "unbind", "info", "list --frob", "bind --user", "info 01:00.0 02:00.0"}) {
    EXPECT_EQ(run(arguments), kUsage) << arguments;
  }
  for (const char* arguments : {"bind eth1", "unbind 0000:01:00", "info sim:0", "bind 0000:01:00.0 0000:0g:00.0"}) {
    EXPECT_EQ(run(arguments), kUsage) << arguments;
    EXPECT_THAT(err.str(), HasSubstr("is not a PCI address")) << arguments;
  }
  EXPECT_EQ(run("info sim0"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("give a port's URI, such as sim:0"));
  expect_unchanged();
}

}  // namespace
}  // namespace pollux::tool
