// SPDX-License-Identifier: BSD-3-Clause
// Every error of Binder: its code, its text, the command in its hint, and that nothing was changed.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_descriptor.hpp"
#include "fake_network.hpp"
#include "host/binding.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::host {
namespace {

using pci::test::FakeMachine;
using test::FakeNetwork;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

class BindingError : public testing::Test {
 protected:
  BindingError() { machine.load_driver("vfio-pci"); }

  /// Binds `addresses`. This must fail before anything is changed.
  Error refused(const std::vector<pci::Address>& addresses, const BindOptions& options = {}) {
    Binder binder(machine.paths, machine.clock, network);
    const auto checked = binder.check_bind(addresses, options);
    const auto bound = binder.bind(addresses, options);
    EXPECT_FALSE(checked);
    EXPECT_FALSE(bound);
    if (checked || bound) return {};
    EXPECT_EQ(checked.error().what, bound.error().what);
    EXPECT_THAT(machine.events(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(machine.record(port)));
    EXPECT_EQ(machine.read(machine.device(port) / "driver_override"), "(null)\n");
    EXPECT_FALSE(bound.error().hint.empty());
    return bound.error();
  }
  Error failed(const std::vector<pci::Address>& addresses) {
    const auto bound = Binder(machine.paths, machine.clock, network).bind(addresses);
    EXPECT_FALSE(bound);
    return bound ? Error{} : bound.error();
  }
  Error not_freed(const std::vector<pci::Address>& addresses) {
    const auto freed = Binder(machine.paths, machine.clock, network).unbind(addresses);
    EXPECT_FALSE(freed);
    return freed ? Error{} : freed.error();
  }
  void bind_port() { ASSERT_TRUE(Binder(machine.paths, machine.clock, network).bind(std::vector{port})); }

  FakeMachine machine;
  FakeNetwork network;
  pci::Address port = machine.add({.address = "0000:01:00.0", .group = 7});
};

TEST_F(BindingError, NothingNamed) { EXPECT_EQ(refused({}).code, ErrorCode::invalid_argument); }

TEST_F(BindingError, NamedTwice) {
  const Error error = refused({port, port});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("twice")));
}

TEST_F(BindingError, NoSuchDevice) {
  const Error error = refused({port, pci::Address{0, 9, 0, 0}});
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.what, HasSubstr("0000:09:00.0"));
  EXPECT_THAT(error.hint, HasSubstr("pollux list"));
}

TEST_F(BindingError, Bridge) {
  const pci::Address bridge =
      machine.add({.address = "0000:00:01.0", .driver = "pcieport", .group = 9, .class_code = "0x060400"});
  const Error error = refused({port, bridge}, {.force = true});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:00:01.0"), HasSubstr("bridge")));
}

TEST_F(BindingError, NoNetworkController) {
  const pci::Address disk =
      machine.add({.address = "0000:03:00.0", .driver = "nvme", .group = 9, .class_code = "0x010802"});
  const Error error = refused({port, disk});
  EXPECT_EQ(error.code, ErrorCode::invalid_argument);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:03:00.0"), HasSubstr("not a network controller"), HasSubstr("nvme")));
  EXPECT_THAT(error.hint, HasSubstr("--force"));
  EXPECT_TRUE(Binder(machine.paths, machine.clock, network).check_bind(std::vector{port, disk}, {.force = true}));
}

TEST_F(BindingError, VfioPciNotLoaded) {
  machine.unload_driver("vfio-pci");
  const Error error = refused({port});
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.what, HasSubstr("vfio-pci"));
  EXPECT_EQ(error.hint, "modprobe vfio-pci");
  std::filesystem::remove_all(machine.paths.sys / "kernel/iommu_groups");
  EXPECT_THAT(refused({port}).hint, AllOf(HasSubstr("modprobe vfio-pci"), HasSubstr("lacks an IOMMU")));
}

TEST_F(BindingError, NoIommuInTheMachine) {
  std::filesystem::remove_all(machine.paths.sys / "kernel/iommu_groups/7");
  std::filesystem::remove(machine.device(port) / "iommu_group");
  const Error error = refused({port});
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.0"));
  EXPECT_THAT(error.hint,
              AllOf(HasSubstr("intel_iommu=on"), HasSubstr("amd_iommu=on"), HasSubstr("pollux doctor 0000:01:00.0")));
}

TEST_F(BindingError, NoIommuForThisDevice) {
  const pci::Address bare = machine.add({.address = "0000:03:00.0"});
  const Error error = refused({port, bare});
  EXPECT_EQ(error.code, ErrorCode::no_iommu);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:03:00.0"), HasSubstr("other devices have")));
}

TEST_F(BindingError, GroupNotViable) {
  machine.add({.address = "0000:01:00.1", .group = 7});
  const Error error = refused({port});
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, HasSubstr("0000:01:00.1 (igb)"));
  EXPECT_THAT(error.hint, HasSubstr("pollux bind 0000:01:00.0 0000:01:00.1"));
}

TEST_F(BindingError, GroupNotViableForTheSecondOfTwo) {
  const pci::Address other = machine.add({.address = "0000:02:00.0", .group = 8});
  machine.add({.address = "0000:02:00.1", .group = 8});
  const Error error = refused({port, other});
  EXPECT_EQ(error.code, ErrorCode::group_not_viable);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:02:00.1"), testing::Not(HasSubstr("0000:01:00.0"))));
}

TEST_F(BindingError, UsedByTheHost) {
  network.state = test::host_with_port("0000:01:00.0");
  network.state.namespaces[0].addresses.push_back({2, test::prefix("192.0.2.7/24")});
  const Error error = refused({port});
  EXPECT_EQ(error.code, ErrorCode::in_use_by_host);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("eth1"), HasSubstr("192.0.2.7/24")));
  EXPECT_THAT(error.hint, HasSubstr("--force"));
}

TEST_F(BindingError, NetworkStateUnknown) {
  network.broken = Error{ErrorCode::io_error, "cannot read the host's network state", "bind with --force"};
  EXPECT_EQ(refused({port}).what, "cannot read the host's network state");
}

TEST_F(BindingError, NotRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user and come back";
  ::chmod(machine.paths.sys.parent_path().c_str(), 0755);
  ASSERT_EQ(::seteuid(65534), 0);
  const auto checked = Binder(machine.paths, machine.clock, network).check_bind(std::vector{port});
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(checked.error().what, HasSubstr("0000:01:00.0/driver_override"));
  EXPECT_THAT(checked.error().hint, HasSubstr("sudo"));
}

TEST_F(BindingError, VfioPciRefuses) {
  machine.refuse("vfio-pci");
  const Duration start = machine.clock.now();
  const Error error = failed({port});
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, AllOf(HasSubstr("vfio-pci did not bind to 0000:01:00.0"), HasSubstr("it has igb as before")));
  EXPECT_THAT(error.hint, HasSubstr("dmesg"));
  EXPECT_LE(machine.clock.now() - start, 3 * Binder::kLimit);
  EXPECT_EQ(machine.driver_of(port), "igb");
  EXPECT_EQ(machine.read(machine.device(port) / "driver_override"), "\n");
  EXPECT_FALSE(std::filesystem::exists(machine.record(port)));
}

TEST_F(BindingError, VfioPciAndTheOldDriverReject) {
  machine.refuse("vfio-pci");
  machine.refuse("igb");
  const Error error = failed({port});
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("restoring igb failed"));
  EXPECT_THAT(error.hint, HasSubstr("pollux unbind 0000:01:00.0"));
  EXPECT_TRUE(std::filesystem::exists(machine.record(port)));
}

TEST_F(BindingError, OldDriverDoesNotReleaseTheDevice) {
  machine.cling("igb");
  const Error error = failed({port});
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.what, HasSubstr("igb did not release 0000:01:00.0"));
  EXPECT_EQ(machine.driver_of(port), "igb");
}

TEST_F(BindingError, UnbindNoSuchDevice) {
  bind_port();
  EXPECT_EQ(not_freed({port, pci::Address{0, 9, 0, 0}}).code, ErrorCode::not_found);
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
}

TEST_F(BindingError, UnbindWhileAProcessHasTheGroupOpen) {
  bind_port();
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  machine.add_process(43, "other", machine.paths.dev / "vfio/8");
  const Error error = not_freed({port});
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("process 42 (l2fwd)")));
  EXPECT_THAT(error.hint, HasSubstr("kill 42"));
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
}

TEST_F(BindingError, UnbindWhileAProcessHasTheDeviceOpen) {
  bind_port();
  std::filesystem::create_directories(machine.device(port) / "vfio-dev/vfio3");
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/devices/vfio3");
  EXPECT_EQ(not_freed({port}).code, ErrorCode::group_in_use);
}

TEST_F(BindingError, UnbindWhenAProcessOpensTheDeviceMeanwhile) {
  bind_port();
  const auto before = machine.events();
  const FileDescriptor other(::open((machine.paths.run / "pollux/lock").c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX | LOCK_NB), 0);
  bool opened = false;
  machine.clock.follow([&, start = machine.clock.now()](Duration now) {
    if (opened || now - start < std::chrono::seconds(1)) return;
    opened = true;
    machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
    ::flock(other.get(), LOCK_UN);
  });
  EXPECT_EQ(not_freed({port}).code, ErrorCode::group_in_use);
  EXPECT_EQ(machine.events(), before);
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
}

TEST_F(BindingError, AProcessOpensAPortWhoseBindIsUndone) {
  machine.load_driver("stubborn");
  const pci::Address other = machine.add({.address = "0000:02:00.0", .driver = "stubborn", .group = 8});
  machine.cling("stubborn");
  bool opened = false;
  machine.clock.follow([&](Duration) {
    if (opened || machine.driver_of(port) != "vfio-pci") return;
    opened = true;
    machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  });
  EXPECT_EQ(failed({port, other}).code, ErrorCode::timeout);
  EXPECT_EQ(machine.driver_of(port), "vfio-pci") << "the kernel would wait for the process without limit";
  EXPECT_TRUE(std::filesystem::exists(machine.record(port)));
}

TEST_F(BindingError, OpenByAnotherVfioDriver) {
  const pci::Address other = machine.add({.address = "0000:02:00.0", .driver = "mlx5_vfio_pci", .group = 8});
  machine.add_process(42, "qemu", machine.paths.dev / "vfio/8");
  const Error error = refused({other});
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.what, HasSubstr("0000:02:00.0 is open in process 42 (qemu)"));
}

TEST_F(BindingError, UnbindWhenTheOldDriverIsNotLoaded) {
  bind_port();
  machine.unload_driver("igb");
  const Error error = not_freed({port});
  EXPECT_EQ(error.code, ErrorCode::module_not_loaded);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:01:00.0"), HasSubstr("igb")));
  EXPECT_EQ(error.hint, "modprobe igb");
  EXPECT_EQ(machine.driver_of(port), "vfio-pci");
}

TEST_F(BindingError, UnbindWhenTheOldDriverRefusesCanBeTriedAgain) {
  bind_port();
  machine.refuse("igb");
  const Error error = not_freed({port});
  EXPECT_EQ(error.code, ErrorCode::not_bound);
  EXPECT_THAT(error.what, HasSubstr("igb did not bind to 0000:01:00.0"));
  EXPECT_TRUE(std::filesystem::exists(machine.record(port)));
}

/// A port with a virtual function.
class BindingFunctions : public BindingError {
 protected:
  /// A process, such as that of a virtual machine, has the function open.
  void open_function() {
    std::filesystem::remove(machine.device(function) / "driver");
    std::filesystem::create_directory_symlink(machine.paths.sys / "bus/pci/drivers/vfio-pci",
                                              machine.device(function) / "driver");
    machine.add_process(42, "qemu", machine.paths.dev / "vfio/9");
  }
  pci::Address function = machine.add_function(port, {.address = "0000:01:10.0", .driver = "igbvf", .group = 9});
};

TEST_F(BindingFunctions, UsedByTheHost) {
  network.state = test::host_with_port("0000:01:10.0", "eth1v0");
  network.state.namespaces[0].addresses.push_back({2, test::prefix("192.0.2.7/24")});
  const Error error = refused({port});
  EXPECT_EQ(error.code, ErrorCode::in_use_by_host);
  EXPECT_THAT(error.what, AllOf(HasSubstr("0000:01:00.0 would lose its virtual functions"), HasSubstr("0000:01:10.0"),
                                HasSubstr("eth1v0 has the address 192.0.2.7/24")));
  EXPECT_TRUE(Binder(machine.paths, machine.clock, network).check_bind(std::vector{port}, {.force = true}));
}

TEST_F(BindingFunctions, OpenInAProcess) {
  open_function();
  for (const bool force : {false, true}) {
    const Error error = refused({port}, {.force = force});
    EXPECT_EQ(error.code, ErrorCode::group_in_use);
    EXPECT_THAT(error.what, HasSubstr("0000:01:00.0: its virtual function 0000:01:10.0 is open in process 42 (qemu)"));
    EXPECT_THAT(error.hint, HasSubstr("kill 42"));
  }
}

TEST_F(BindingFunctions, UnbindWhileAProcessHasOneOpen) {
  bind_port();
  open_function();
  const auto before = machine.events();
  const Error error = not_freed({port});
  EXPECT_EQ(error.code, ErrorCode::group_in_use);
  EXPECT_THAT(error.what, HasSubstr("its virtual function 0000:01:10.0 is open in process 42 (qemu)"));
  EXPECT_EQ(machine.events(), before) << "the kernel would wait for the process without limit";
  std::filesystem::remove_all(machine.paths.proc / "42");
  EXPECT_TRUE(Binder(machine.paths, machine.clock, network).unbind(std::vector{port}));
}

}  // namespace
}  // namespace pollux::host
