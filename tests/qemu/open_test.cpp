// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "backends/qtest/device.hpp"
#include "qemu/fixture.hpp"

namespace pollux {
namespace {

using test::QemuFixture;
using test::QemuPort;
using testing::HasSubstr;

TEST(Open, FindsTwoCards) {
  QemuFixture fixture;
  const QemuPort left = fixture.open("0");
  const QemuPort right = fixture.open("1");
  EXPECT_EQ(left.pid, right.pid);
  EXPECT_EQ(left.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 0}));
  EXPECT_EQ(right.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 1}));
}

TEST(Open, EachPairHasItsOwnQemu) {
  QemuFixture fixture;
  const QemuPort first = fixture.open("1");
  const QemuPort second = fixture.open("2");
  EXPECT_NE(first.pid, second.pid);
  EXPECT_EQ(second.port.mac(), (MacAddress{0x02, 0, 0, 0x82, 0x57, 2}));
}

TEST(Open, TheUriOpensAPort) {
  QemuFixture fixture;
  auto port = open(fixture.context, "qtest:0", fixture.config);
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(port->state(), PortState::started);
}

TEST(Open, ACardOpensOnce) {
  QemuFixture fixture;
  const QemuPort port = fixture.open("0");
  const auto again = open_unconfigured(fixture.context, "qtest:0");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::busy);
}

TEST(Open, QemuEndsWithTheLastOfItsCards) {
  QemuFixture fixture;
  QemuPort left = fixture.open("0");
  QemuPort right = fixture.open("1");
  ASSERT_TRUE(left.port.close());
  EXPECT_TRUE(test::process_exists(left.pid));
  ASSERT_TRUE(right.port.close());
  EXPECT_FALSE(test::process_exists(left.pid));
}

TEST(Open, ReadsConfigurationSpaceAndResetsTheCard) {
  QemuFixture fixture;
  auto device = qtest::open_qtest(fixture.context, "0");
  ASSERT_TRUE(device) << device.error().message();
  Device& card = **device;
  EXPECT_EQ(card.identity().vendor, 0x8086);
  EXPECT_EQ(card.identity().device, 0x10C9);
  EXPECT_EQ(card.read_config(0x0A, 2).value(), 0x0200u);
  ASSERT_TRUE(card.set_bus_master(true));
  EXPECT_EQ(card.read_config(0x04, 2).value() & 6, 6u);
  const Bar bar = card.bar(0).value();
  bar.write32(0x5004, 1234);
  EXPECT_EQ(bar.read32(0x5004), 1234u);
  ASSERT_TRUE(card.reset());
  EXPECT_EQ(card.read_config(0x04, 2).value() & 6, 2u);
  EXPECT_NE(bar.read32(0x5004), 1234u);
  EXPECT_NE(bar.read32(0x0008), ~0u);
  EXPECT_EQ(card.bar(1)->size() == 0, false);
  EXPECT_EQ(card.bar(2).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(card.read_config(2, 4).error().code, ErrorCode::invalid_argument);
}

TEST(Open, TheApplicationsOwnMemoryIsRejectedWithAReason) {
  QemuFixture fixture;
  const QemuPort port = fixture.open("0");
  void* const own = ::aligned_alloc(4096, 4096);
  const auto memory = fixture.context.register_memory({static_cast<std::byte*>(own), 4096});
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::not_supported);
  EXPECT_THAT(memory.error().message(), HasSubstr("QEMU"));
  ::free(own);
}

/// A program that replaces QEMU, prints a message and ends.
struct FakeProgram {
  explicit FakeProgram(const std::string& script) {
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    EXPECT_EQ(::chmod(path.c_str(), 0755), 0);
  }
  ~FakeProgram() { ::unlink(path.c_str()); }
  std::string path = testing::TempDir() + "pollux-fake-qemu-" + std::to_string(::getpid());
};

Error error_of(const std::string& which) {
  QemuFixture fixture;
  auto device = qtest::open_qtest(fixture.context, which);
  EXPECT_FALSE(device);
  return device ? Error{} : device.error();
}

TEST(Open, WithoutQemuTheErrorSaysHowToGetIt) {
  const Error error = error_of("0?qemu=no-such-qemu");
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.what, HasSubstr("qtest:0"));
  EXPECT_THAT(error.hint, HasSubstr("apt-get install"));
}

TEST(Open, AQemuWithoutTheCardIsReported) {
  const FakeProgram program("echo \"qemu: -device igb: 'igb' is not a valid device model name\" >&2; exit 1");
  const Error error = error_of("0?qemu=" + program.path);
  EXPECT_EQ(error.code, ErrorCode::not_supported);
  EXPECT_THAT(error.what, HasSubstr("not a valid device model"));
  EXPECT_THAT(error.hint, HasSubstr("8.0"));
}

TEST(Open, TheErrorContainsTheOutputOfAQemuThatEnds) {
  const FakeProgram program("echo something is wrong; exit 3");
  const Error error = error_of("0?qemu=" + program.path);
  EXPECT_EQ(error.code, ErrorCode::io_error);
  EXPECT_THAT(error.what, HasSubstr("something is wrong"));
  EXPECT_THAT(error.what, HasSubstr("exit status 3"));
}

TEST(Open, TheErrorNamesNoMessageOfAProgramThatPrintsNothing) {
  const FakeProgram program("exit 0");
  const Error error = error_of("0?qemu=" + program.path);
  EXPECT_EQ(error.code, ErrorCode::io_error);
  EXPECT_THAT(error.hint, HasSubstr("is it a QEMU?"));
}

TEST(Open, ASilentQemuTimesOut) {
  const FakeProgram program("sleep 1000");
  const Error error = error_of("0?timeout=100,qemu=" + program.path);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.hint, HasSubstr("timeout="));
}

}  // namespace
}  // namespace pollux
