// SPDX-License-Identifier: BSD-3-Clause
#include "host/binding_records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pci/sysfs.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using testing::AllOf;
using testing::HasSubstr;

std::vector<std::byte> some_bytes(std::size_t count, std::uint8_t first) {
  std::vector<std::byte> made(count);
  for (std::size_t at = 0; at < count; ++at) made[at] = static_cast<std::byte>(first + 37 * at);
  return made;
}

InterfaceBackup some_interface(const std::string& name) {
  InterfaceBackup made;
  made.name = name;
  made.index = 4'000'000'000;
  made.up = true;
  made.mtu = 9000;
  made.master = 7;
  made.mac = some_bytes(6, 2);
  made.addresses = {some_bytes(8, 1), some_bytes(100, 9)};
  made.routes = {some_bytes(12, 255), some_bytes(64, 0)};
  return made;
}

class InterfaceRecords : public testing::Test {
 protected:
  InterfaceRecords() { machine.load_driver("vfio-pci"); }
  [[nodiscard]] std::filesystem::path file() const { return machine.paths.run / "pollux/interfaces/0000:01:00.0"; }
  void save(const InterfaceRecord& given) const { ASSERT_TRUE(save_interfaces(machine.paths, port, given)); }
  [[nodiscard]] Error rejected() const {
    const auto saved = saved_interfaces(machine.paths, port);
    EXPECT_FALSE(saved);
    return saved ? Error{} : saved.error();
  }

  FakeMachine machine;
  pci::Address port = machine.add({.address = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  InterfaceRecord record{0x8086, 0x10c9, {some_interface("eth1")}};
};

TEST_F(InterfaceRecords, AreReadBackUnchanged) {
  record.interfaces.emplace_back().name = "an-odd~name,_15";
  save(record);
  const auto loaded = load_interfaces(machine.paths, port);
  ASSERT_TRUE(loaded) << loaded.error().message();
  ASSERT_TRUE(*loaded);
  EXPECT_EQ(**loaded, record);
  save({0x8086, 0x10c9, {}});
  EXPECT_TRUE((*load_interfaces(machine.paths, port))->interfaces.empty());
  EXPECT_THAT(pci::sysfs::entries(file().parent_path()), testing::ElementsAre("0000:01:00.0"));
  remove_interfaces(machine.paths, port);
  EXPECT_EQ(load_interfaces(machine.paths, port).value(), std::nullopt);
}

TEST_F(InterfaceRecords, MayBeLongerThanAPage) {
  for (int more = 0; more < 1000; ++more) record.interfaces[0].routes.push_back(some_bytes(60, 3));
  save(record);
  EXPECT_EQ(**load_interfaces(machine.paths, port), record);
}

TEST_F(InterfaceRecords, AreWhatASharedPortGets) {
  save(record);
  const auto saved = saved_interfaces(machine.paths, port);
  ASSERT_TRUE(saved) << saved.error().message();
  EXPECT_EQ(*saved, record.interfaces);
}

TEST_F(InterfaceRecords, MissingOnesAreAnErrorThatNamesTheFix) {
  const Error error = rejected();
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.what, HasSubstr("no addresses and routes were saved for 0000:01:00.0"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind --force 0000:01:00.0"));
}

TEST_F(InterfaceRecords, OfAPortThatHasLeftVfioAreOutOfDate) {
  const pci::Address other = machine.add({.address = "0000:02:00.0", .group = 8});
  record.interfaces = {some_interface("eth1")};
  ASSERT_TRUE(save_interfaces(machine.paths, other, record));
  const auto saved = saved_interfaces(machine.paths, other);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, ErrorCode::not_bound);
  EXPECT_THAT(saved.error().what, HasSubstr("out of date"));
  EXPECT_THAT(saved.error().hint, HasSubstr("pollux bind --force 0000:02:00.0"));
}

TEST_F(InterfaceRecords, OfAnotherCardAreRejected) {
  record.device = 0x1521;
  save(record);
  const Error error = rejected();
  EXPECT_EQ(error.code, ErrorCode::bad_state);
  EXPECT_THAT(error.what, HasSubstr("another card, 8086:1521"));
  EXPECT_THAT(error.hint, AllOf(HasSubstr("pollux unbind 0000:01:00.0"), HasSubstr("pollux bind")));
}

TEST_F(InterfaceRecords, OfNoDeviceAreRejected) {
  EXPECT_EQ(saved_interfaces(machine.paths, pci::Address{0, 9, 0, 0}).error().code, ErrorCode::not_found);
}

TEST_F(InterfaceRecords, DamagedOnesAreAnErrorThatNamesTheFile) {
  const std::string head = "pollux interface record 1\nvendor=8086\ndevice=10c9\n";
  const std::string eth1 = head + "interface=eth1\n";
  for (const std::string& text : {std::string(),
                                  std::string("pollux interface record 2\nvendor=8086\ndevice=10c9\nend\n"),
                                  head,
                                  eth1,
                                  head + "interface=\nend\n",
                                  head + "interface=a/b\nend\n",
                                  head + "interface=..\nend\n",
                                  head + "interface=sixteen-letters-\nend\n",
                                  head + "mtu=1500\nend\n",
                                  eth1 + "mtu=many\nend\n",
                                  eth1 + "mtu=1500x\nend\n",
                                  eth1 + "index=-1\nend\n",
                                  eth1 + "up=2\nend\n",
                                  eth1 + "down=1\nend\n",
                                  eth1 + "mac=0\nend\n",
                                  eth1 + "address=00\nend\n",
                                  eth1 + "address=zz00000000000000\nend\n",
                                  eth1 + "route=0000000000000000\nend\n",
                                  eth1 + "route\nend\n",
                                  head + "vendor=18086\nend\n"}) {
    machine.write(file(), text);
    const Error error = rejected();
    EXPECT_EQ(error.code, ErrorCode::io_error) << text;
    EXPECT_THAT(error.what, AllOf(HasSubstr(file().string()), HasSubstr("malformed"))) << text;
    EXPECT_THAT(error.hint, HasSubstr("rm " + file().string())) << text;
  }
}

}  // namespace
}  // namespace pollux::host
