// SPDX-License-Identifier: BSD-3-Clause
#include <dirent.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <utility>

#include "backends/qtest/device.hpp"
#include "device/capability_list.hpp"
#include "pollux/net/identify_led.hpp"
#include "qemu/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux {
namespace {

using test::QemuFixture;
using test::QemuPort;

std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

TEST(Life, APortStopsAndStartsAgain) {
  QemuFixture fixture;
  QemuPort left = fixture.start("0");
  QemuPort right = fixture.start("1");
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(QemuFixture::link_rises(left.port));
    ASSERT_TRUE(QemuFixture::link_rises(right.port));
    fixture.exchange(left.port, right.port, 200);
    ASSERT_TRUE(left.port.stop());
    ASSERT_TRUE(right.port.stop());
    ASSERT_TRUE(left.port.start());
    ASSERT_TRUE(right.port.start());
  }
}

TEST(Life, ASuspendedPortSleepsInD3hotAndPassesFramesAfterwards) {
  QemuFixture fixture;
  QemuPort right = fixture.start("1");
  auto device = qtest::open_qtest(fixture.context, "0");
  ASSERT_TRUE(device) << device.error().message();
  Device& card = **device;
  auto left = open_unconfigured(fixture.context, *std::move(device));
  ASSERT_TRUE(left) << left.error().message();
  ASSERT_TRUE(test::configure_port(*left, fixture.config));
  ASSERT_TRUE(left->start());
  const auto at = find_capability(
      PCI_CAP_ID_PM, [&card](std::uint32_t offset, unsigned width) { return card.read_config(offset, width); });
  ASSERT_TRUE(at && *at);
  const auto state = [&] { return card.read_config(**at + PCI_PM_CTRL, 2).value() & PCI_PM_CTRL_STATE_MASK; };
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(left->suspend());
    EXPECT_EQ(state(), 3U);
    EXPECT_EQ(left->change([](Settings& settings) { settings.led = LedMode::on; }).error().code, ErrorCode::bad_state);
    const auto resumed = left->resume();
    ASSERT_TRUE(resumed) << resumed.error().message();
    EXPECT_EQ(state(), 0U);
    ASSERT_TRUE(QemuFixture::link_rises(*left));
    ASSERT_TRUE(QemuFixture::link_rises(right.port));
    fixture.exchange(*left, right.port, 200);
    fixture.exchange(right.port, *left, 200);
  }
  ASSERT_TRUE(left->suspend());
  ASSERT_TRUE(left->close());
  QemuPort again = fixture.start("0");
  ASSERT_TRUE(QemuFixture::link_rises(again.port));
  fixture.exchange(again.port, right.port, 200);
}

TEST(Life, ACardIsOpenedAgainWhileItsPartnerStaysOpen) {
  QemuFixture fixture;
  QemuPort right = fixture.start("1");
  for (int round = 0; round < 3; ++round) {
    QemuPort left = fixture.start("0");
    EXPECT_EQ(left.pid, right.pid);
    ASSERT_TRUE(QemuFixture::link_rises(left.port));
    ASSERT_TRUE(QemuFixture::link_rises(right.port));
    fixture.exchange(left.port, right.port, 200);
    ASSERT_TRUE(left.port.close());
  }
}

TEST(Life, OpeningAndClosingLeavesNoProcessAndNoDescriptorBehind) {
  QemuFixture fixture;
  static_cast<void>(fixture.open("0"));
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 5; ++round) {
    pid_t pid = 0;
    {
      const QemuPort port = fixture.open("0");
      pid = port.pid;
      EXPECT_TRUE(test::process_exists(pid));
    }
    EXPECT_FALSE(test::process_exists(pid));
  }
  EXPECT_EQ(open_descriptors(), before);
  EXPECT_LT(::waitpid(-1, nullptr, WNOHANG), 0);  // no child is left, not even a zombie
}

TEST(Life, QemuDiesWithAProcessThatIsKilled) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  const pid_t host = ::fork();
  if (host == 0) {
    QemuFixture fixture;
    const QemuPort port = fixture.open("0");
    static_cast<void>(!::write(pipe[1], &port.pid, sizeof port.pid));
    ::kill(::getpid(), SIGKILL);
  }
  ::close(pipe[1]);
  pid_t pid = 0;
  ASSERT_EQ(::read(pipe[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  ::close(pipe[0]);
  ASSERT_EQ(::waitpid(host, nullptr, 0), host);
  EXPECT_TRUE(test::eventually([pid] { return !test::process_exists(pid); }));
}

}  // namespace
}  // namespace pollux
