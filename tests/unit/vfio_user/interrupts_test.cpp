// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>

#include "hw/intel/igb/registers.hpp"
#include "unit/vfio_user/fixture.hpp"

namespace pollux::test {
namespace {

using namespace vfio_user;
namespace hw = pollux::hw::igb;

constexpr std::uint32_t kTriggerByEvent = SetIrqs::kDataEventfd | SetIrqs::kTrigger;
constexpr std::uint32_t kTriggerNow = SetIrqs::kDataNone | SetIrqs::kTrigger;

FileDescriptor event() { return FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

/// The number of signals since the last call.
std::uint64_t signals(const FileDescriptor& event) {
  std::uint64_t count = 0;
  return ::eventfd_read(event.get(), &count) == 0 ? count : 0;
}

class VfioUserInterrupts : public testing::Test {
 protected:
  int set(std::uint32_t irq, std::uint32_t flags, std::uint32_t start, std::uint32_t count, const Bytes& data = {},
          std::vector<int> descriptors = {}) {
    Bytes payload = packed(SetIrqs{20, flags, irq, start, count});
    payload.insert(payload.end(), data.begin(), data.end());
    return client->error_of(Command::device_set_irqs, payload, descriptors);
  }
  /// Lets the card's other causes (GPIE.MSIX_MODE) reach vector `vector`, and raises a change of the link.
  void route_link_changes_to(std::uint32_t vector) {
    write_register(*client, hw::GPIE::offset(), 1U << 4 | 1U << 31);
    write_register(*client, hw::IVAR_MISC::offset(), (0x80 | vector) << 8);
    write_register(*client, hw::EIMS::offset(), 1U << vector);
    write_register(*client, hw::IMS::offset(), kLinkChange);
  }
  void change_link() {
    write_register(*client, hw::ICS::offset(), kLinkChange);
    static_cast<void>(read_register(*client, 8));
    fixture.clock->advance(std::chrono::milliseconds(1));
    fixture.pump();
  }
  static constexpr std::uint32_t kLinkChange = 4;

  ServerFixture fixture;
  std::unique_ptr<VfioUserClient> client = fixture.client();
};

TEST_F(VfioUserInterrupts, ReachTheEventfdOfTheirVector) {
  const auto first = event();
  const auto second = event();
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1), 0);  // QEMU's first request: no eventfd
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 2, {}, {first.get(), second.get()}), 0);
  route_link_changes_to(1);
  change_link();
  EXPECT_EQ(signals(first), 0u);
  EXPECT_EQ(signals(second), 1u);
}

TEST_F(VfioUserInterrupts, WaitForTheEventfdOfTheirVector) {
  const auto first = event();
  const auto third = event();
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {first.get()}), 0);
  route_link_changes_to(2);
  change_link();
  EXPECT_EQ(signals(first), 0u);
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 2, 1, {}, {third.get()}), 0);
  EXPECT_EQ(signals(third), 1u);
}

TEST_F(VfioUserInterrupts, ContinueAfterAReset) {
  const auto first = event();
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {first.get()}), 0);
  ASSERT_EQ(client->error_of(Command::device_reset, {}), 0);
  route_link_changes_to(0);
  change_link();
  EXPECT_GE(signals(first), 1u);
}

/// Without MSI and MSI-X the card asserts its interrupt pin until software has read ICR.
class VfioUserInterruptPin : public VfioUserInterrupts {
 protected:
  void raise() {
    write_register(*client, hw::IMS::offset(), kLinkChange);
    change_link();
  }
  void clear() { static_cast<void>(read_register(*client, hw::ICR::offset())); }
  static constexpr std::uint32_t kUnmaskNow = SetIrqs::kDataNone | SetIrqs::kUnmask;
};

TEST_F(VfioUserInterruptPin, IsSignalledOnceUntilItIsUnmasked) {
  const auto pin = event();
  ASSERT_EQ(set(kIntx, kTriggerByEvent, 0, 1, {}, {pin.get()}), 0);
  raise();
  EXPECT_EQ(signals(pin), 1u);
  change_link();
  EXPECT_EQ(signals(pin), 0u) << "masked";
  ASSERT_EQ(set(kIntx, kUnmaskNow, 0, 1), 0);
  EXPECT_EQ(signals(pin), 1u) << "still asserted";
  clear();
  ASSERT_EQ(set(kIntx, kUnmaskNow, 0, 1), 0);
  EXPECT_EQ(signals(pin), 0u) << "no longer asserted";
  change_link();
  EXPECT_EQ(signals(pin), 1u);
}

TEST_F(VfioUserInterruptPin, CanBeMasked) {
  const auto pin = event();
  ASSERT_EQ(set(kIntx, kTriggerByEvent, 0, 1, {}, {pin.get()}), 0);
  ASSERT_EQ(set(kIntx, SetIrqs::kDataNone | SetIrqs::kMask, 0, 1), 0);
  raise();
  EXPECT_EQ(signals(pin), 0u);
  ASSERT_EQ(set(kIntx, SetIrqs::kDataBool | SetIrqs::kUnmask, 0, 1, {std::byte{1}}), 0);
  EXPECT_EQ(signals(pin), 1u);
}

// No event signals the level of the pin of a card that runs on another thread, so the server polls it.
TEST_F(VfioUserInterruptPin, IsReadEachMillisecondWhileItIsNotMasked) {
  const auto pin = event();
  ASSERT_EQ(set(kIntx, kTriggerByEvent, 0, 1, {}, {pin.get()}), 0);
  fixture.pump();
  EXPECT_LE(fixture.server().next(), fixture.clock->now() + std::chrono::milliseconds(1));
  ASSERT_EQ(set(kIntx, SetIrqs::kDataNone | SetIrqs::kMask, 0, 1), 0);
  fixture.pump();
  EXPECT_GT(fixture.server().next(), fixture.clock->now() + std::chrono::milliseconds(1));
}

TEST_F(VfioUserInterruptPin, IsUnmaskedByAnEventfd) {
  const auto pin = event();
  const auto unmask = event();
  ASSERT_EQ(set(kIntx, kTriggerByEvent, 0, 1, {}, {pin.get()}), 0);
  ASSERT_EQ(set(kIntx, SetIrqs::kDataEventfd | SetIrqs::kUnmask, 0, 1, {}, {unmask.get()}), 0);
  raise();
  EXPECT_EQ(signals(pin), 1u);
  ASSERT_EQ(::eventfd_write(unmask.get(), 1), 0);
  fixture.pump();
  EXPECT_EQ(signals(pin), 1u);
}

TEST_F(VfioUserInterruptPin, IsDisabledByTheCommandRegister) {
  const auto pin = event();
  ASSERT_EQ(set(kIntx, kTriggerByEvent, 0, 1, {}, {pin.get()}), 0);
  write_config(*client, 4, 2, 0x0406);
  raise();
  EXPECT_EQ(signals(pin), 0u);
  write_config(*client, 4, 2, 0x0006);
  fixture.pump();
  EXPECT_EQ(signals(pin), 1u);
}

TEST_F(VfioUserInterrupts, SendTheMessageOfMsi) {
  const auto message = event();
  write_config(*client, 0x52, 2, 0x0001);  // MSI enable
  ASSERT_EQ(set(kMsi, kTriggerByEvent, 0, 1, {}, {message.get()}), 0);
  write_register(*client, hw::IMS::offset(), kLinkChange);
  change_link();
  EXPECT_EQ(signals(message), 1u);
  EXPECT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {message.get()}), EINVAL) << "one kind at a time";
  ASSERT_EQ(set(kMsi, kTriggerNow, 0, 0), 0);
  EXPECT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {message.get()}), 0);
}

TEST_F(VfioUserInterrupts, EndWhenTheyAreSwitchedOff) {
  const auto first = event();
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {first.get()}), 0);
  ASSERT_EQ(set(kMsix, kTriggerNow, 0, 0), 0);
  route_link_changes_to(0);
  change_link();
  EXPECT_EQ(signals(first), 0u);
  // Interrupts can be enabled again.
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {first.get()}), 0);
  EXPECT_EQ(signals(first), 0u);
}

TEST_F(VfioUserInterrupts, CanBeTriggeredByTheClient) {
  const auto first = event();
  const auto second = event();
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 2, {}, {first.get(), second.get()}), 0);
  EXPECT_EQ(set(kMsix, kTriggerNow, 1, 1), 0);
  EXPECT_EQ(signals(first), 0u);
  EXPECT_EQ(signals(second), 1u);
  EXPECT_EQ(set(kMsix, SetIrqs::kDataBool | SetIrqs::kTrigger, 0, 2, {std::byte{1}, std::byte{0}}), 0);
  EXPECT_EQ(signals(first), 1u);
  EXPECT_EQ(signals(second), 0u);
}

TEST_F(VfioUserInterrupts, RejectInvalidRequests) {
  const auto good = event();
  EXPECT_EQ(set(5, kTriggerNow, 0, 0), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow, 0, 26), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow, 25, 1), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow, 0xFFFFFFFF, 2), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow, 1, 0), EINVAL);
  EXPECT_EQ(set(kMsix, 0, 0, 1), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow | SetIrqs::kDataBool, 0, 1), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow | SetIrqs::kMask, 0, 1), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow | 0x40, 0, 1), EINVAL);
  EXPECT_EQ(set(kMsix, SetIrqs::kDataBool | SetIrqs::kTrigger, 0, 2, {std::byte{1}}), EINVAL);
  EXPECT_EQ(set(kMsix, kTriggerNow, 0, 1, {std::byte{1}}), EINVAL);
  EXPECT_EQ(set(kMsix, SetIrqs::kDataNone | SetIrqs::kMask, 0, 1), EINVAL) << "vectors cannot be masked";
  EXPECT_EQ(set(kMsix, kTriggerByEvent, 0, 2, {}, {good.get()}), EINVAL) << "too few eventfds";
  EXPECT_EQ(set(kMsix, kTriggerNow, 0, 1, {}, {good.get()}), EINVAL) << "an eventfd is not expected";
}

TEST_F(VfioUserInterrupts, AcceptOnlyEventfds) {
  const FileDescriptor file = memory_file(4096);
  EXPECT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {file.get()}), EINVAL);
}

TEST_F(VfioUserInterrupts, DoNotBlockOnAnEventfdThatIsFull) {
  const FileDescriptor full(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {full.get()}), 0);
  // The client may make it blocking and fill it at any time: a write would block now.
  ASSERT_EQ(::fcntl(full.get(), F_SETFL, 0), 0);
  ASSERT_EQ(::eventfd_write(full.get(), 0xFFFFFFFFFFFFFFFE), 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(set(kMsix, kTriggerNow, 0, 1), 0);
}

TEST_F(VfioUserInterrupts, LeaveTheFlagsOfTheClientsEventfdAlone) {
  const FileDescriptor blocking(::eventfd(0, EFD_CLOEXEC));
  ASSERT_EQ(set(kMsix, kTriggerByEvent, 0, 1, {}, {blocking.get()}), 0);
  ASSERT_EQ(set(kMsix, kTriggerNow, 0, 1), 0);
  EXPECT_EQ(::fcntl(blocking.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(signals(blocking), 1u);
}

TEST(VfioUserEvents, AreCountedHoweverManyThereAre) {
  EventSignaller signaller;
  const auto counter = event();
  for (int i = 0; i < 1000; ++i) signaller.signal(counter.get());
  EXPECT_EQ(signals(counter), 1000u);
}

TEST(VfioUserEvents, PassOnThatTheHostWantsTheDeviceBack) {
  ServerFixture fixture({"fault:removal-event@3,sim:0"});
  const auto client = fixture.client();
  const auto requested = event();
  const std::array descriptors{requested.get()};
  ASSERT_EQ(
      client->error_of(Command::device_set_irqs, packed(SetIrqs{20, kTriggerByEvent, kRequestIrq, 0, 1}), descriptors),
      0);
  EXPECT_EQ(signals(requested), 0u);
  for (int i = 0; i < 5; ++i) static_cast<void>(read_register(*client, 8));
  EXPECT_EQ(signals(requested), 1u);
}

// Each epoll instance that watches an eventfd is told of each signal, by the thread that makes it.
TEST(VfioUserEventfd, WithTooManyWatchersEndsItsClient) {
  ServerFixture fixture({"sim:0", "sim:1"});
  auto client = fixture.client(0);
  auto neighbour = fixture.client(1);
  const FileDescriptor watched = event();
  std::vector<FileDescriptor> copies, watchers;
  for (int i = 0; i < 300; ++i) {
    copies.emplace_back(::fcntl(watched.get(), F_DUPFD_CLOEXEC, 0));
    watchers.emplace_back(::epoll_create1(EPOLL_CLOEXEC));
  }
  for (const FileDescriptor& watcher : watchers) {
    for (const FileDescriptor& copy : copies) {
      epoll_event wanted{.events = EPOLLIN | EPOLLET, .data = {}};
      ASSERT_EQ(::epoll_ctl(watcher.get(), EPOLL_CTL_ADD, copy.get(), &wanted), 0) << "more descriptors are needed";
    }
  }
  const FileDescriptor other = event();
  const std::array events{watched.get(), other.get()};
  ASSERT_EQ(client->error_of(Command::device_set_irqs, packed(SetIrqs{20, kTriggerByEvent, kMsix, 0, 2}), events), 0);
  for (unsigned i = 0; i < 200 && !client->closed(); ++i) {
    for (const std::uint32_t line : {0U, 1U})
      static_cast<void>(client->error_of(Command::device_set_irqs, packed(SetIrqs{20, kTriggerNow, kMsix, line, 1})));
  }
  EXPECT_TRUE(client->closed());
  EXPECT_TRUE(fixture.has_logged("watched so often"));
  auto next = fixture.connected(0);
  EXPECT_FALSE(next->negotiate()) << "for a while no client is accepted";
  EXPECT_EQ(read_config(*neighbour, 0, 4), 0x10C98086u);
  fixture.clock->advance(std::chrono::minutes(10));
  fixture.pump();
  EXPECT_TRUE(fixture.server().has_client());
}

}  // namespace
}  // namespace pollux::test
