// SPDX-License-Identifier: BSD-3-Clause
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "qemu/fixture.hpp"

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
