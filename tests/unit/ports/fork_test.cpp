// SPDX-License-Identifier: BSD-3-Clause
// A program forks, and the child lives on without exec. What the parent then stops and closes is gone.
#include <fcntl.h>
#include <net/if.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>

#include "base/file_descriptor.hpp"
#include "ports/xdp/links.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// A child that does nothing until it is destroyed. `raw`: made without the handlers of pthread_atfork(3).
class IdleChild {
 public:
  explicit IdleChild(bool raw = false) : child_(raw ? ::_Fork() : ::fork()) {
    if (child_ == 0) {
      for (;;) ::pause();
    }
  }
  IdleChild(const IdleChild&) = delete;
  IdleChild& operator=(const IdleChild&) = delete;
  ~IdleChild() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

 private:
  pid_t child_;
};

/// The exit status of a child that does `work` and ends without destructors.
template <class Work>
int status_of_child(Work work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    ::_exit(work() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

bool is_open(int number) { return ::fcntl(number, F_GETFD) >= 0; }

TEST(Fork, AChildHasNoDescriptor) {
  FileDescriptor one(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = one.get();
  const int status = status_of_child([&] {
    if (is_open(number) || one || one.get() != -1 || one.release() != -1) return false;
    // The child's own descriptor with that number stays when the object is destroyed.
    FileDescriptor own(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    one = FileDescriptor();
    const bool has_same_number = own.get() == number;
    // The same between the child and its own child.
    const int below = status_of_child([&] { return !own && !is_open(number); });
    return has_same_number && is_open(number) && below == 0;
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(is_open(number));
  const int released = one.release();
  EXPECT_EQ(status_of_child([&] { return is_open(released); }), 0) << "it is its new owner's affair";
  ::close(released);
}

TEST_F(PortFixture, AForkedChildKeepsNoTapInterface) {
  if (const auto obstacle = conformance::own_network_obstacle()) GTEST_SKIP() << *obstacle;
  conformance::enter_own_network();
  Port port = started("tap:plxf0");
  const IdleChild child;
  ASSERT_TRUE(port.close());
  SteadyClock clock;  // the child closes its copies after fork has returned here
  EXPECT_TRUE(wait_until(clock, "the end", std::chrono::seconds(10), [] { return ::if_nametoindex("plxf0") == 0; }));
}

TEST_F(XdpPort, AForkedChildKeepsNothing) {
  Port port = started("xdp:plxu0?rule=all");
  const IdleChild child;
  ASSERT_TRUE(port.stop());
  EXPECT_THAT(xdp::attached_program(::if_nametoindex("plxu0")), IsEmpty());
  const Bytes frame = ether(numbered(60, 1));
  KernelEnd near("plxu0");
  KernelEnd far("plxu1");
  far.send(frame);
  EXPECT_EQ(receive(near), frame);
  const auto again = port.start();
  ASSERT_TRUE(again) << again.error().message();
  far.send(frame);
  EXPECT_THAT(receive(port, 1), ElementsAre(frame));
}

TEST_F(XdpPort, AForkedChildKeepsNothingOfAHelper) {
  const std::string socket = file("helper");
  const Helper helper(socket);
  Port port = started("xdp:plxu0?rule=all,helper=" + socket);
  {
    const IdleChild child;
    ASSERT_TRUE(port.stop());
    EXPECT_THAT(xdp::attached_program(::if_nametoindex("plxu0")), IsEmpty());
    const auto again = port.start();
    ASSERT_TRUE(again) << again.error().message();
  }
  // A child that keeps all descriptors keeps the queue, but not the program.
  const IdleChild child(true);
  ASSERT_TRUE(port.close());
  EXPECT_THAT(xdp::attached_program(::if_nametoindex("plxu0")), IsEmpty());
}

TEST_F(XdpPort, AForkedChildThatDestroysAPortLeavesItToTheParent) {
  auto port = std::make_unique<Port>(started("xdp:plxu0?rule=all"));
  EXPECT_EQ(status_of_child([&] {
              port.reset();
              return true;
            }),
            0);
  const Bytes frame = ether(numbered(60, 1));
  KernelEnd far("plxu1");
  far.send(frame);
  EXPECT_THAT(receive(*port, 1), ElementsAre(frame));
  EXPECT_EQ(send(*port, {frame}), 1U);
  EXPECT_EQ(receive(far), frame);
}

}  // namespace
}  // namespace pollux::ports
