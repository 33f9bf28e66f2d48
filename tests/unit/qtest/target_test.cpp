// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <gtest/gtest.h>

#include <string>

namespace pollux::qtest {
namespace {

TEST(Target, HasACardNumberAndOptions) {
  const auto plain = parse_target("3");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->number, 3u);
  EXPECT_EQ(plain->qemu, "qemu-system-x86_64");
  EXPECT_EQ(plain->uri, "qtest:3");
  EXPECT_EQ(plain->card->device, "igb");
  const auto full = parse_target("63?qemu=/opt/q=8/qemu,timeout=250,card=virtio-net");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->number, 63u);
  EXPECT_EQ(full->qemu, "/opt/q=8/qemu");
  EXPECT_EQ(full->timeout, std::chrono::milliseconds(250));
  EXPECT_EQ(full->card->device, "virtio-net-pci");
  EXPECT_EQ(full->properties, "");
  EXPECT_EQ(parse_target("0?properties=packed:on+host_mtu:3000")->properties, ",packed=on,host_mtu=3000");
  EXPECT_EQ(full->tap, "");
  const auto on_tap = parse_target("1?queues=4,tap=plx-tap_interf");
  ASSERT_TRUE(on_tap);
  EXPECT_EQ(on_tap->tap, "plx-tap_interf");
  EXPECT_EQ(on_tap->queues, 4U);
  const std::string path = "/run/" + std::string(101, 's');
  const auto on_vhost = parse_target("0?vhost-user=" + path + ",card=virtio-net,queues=2");
  ASSERT_TRUE(on_vhost);
  EXPECT_EQ(on_vhost->vhost_user, path);
  EXPECT_EQ(on_vhost->queues, 2U);
}

TEST(Target, RejectsEverythingElse) {
  for (const char* const which : {"",
                                  "x",
                                  "64",
                                  "-1",
                                  "1x",
                                  "0 ",
                                  "4294967296",
                                  "0,",
                                  "0?",
                                  "0?,",
                                  "0?qemu=",
                                  "0?qemu",
                                  "0?timeout=0",
                                  "0?timeout=x",
                                  "0,qemu=/x",
                                  "0?timeout=600001",
                                  "0?speed=1",
                                  "0?card=",
                                  "0?card=igb",
                                  "0?properties=",
                                  "0?properties=packed",
                                  "0?properties=packed:",
                                  "0?properties=packed:on+",
                                  "0?properties=a:b;c",
                                  "0?tap=",
                                  "0?tap=a;b",
                                  "0?tap=plx-tap-interfa",
                                  "0?queues=2",
                                  "0?card=virtio-net,vhost-user=",
                                  "0?vhost-user=/s",
                                  "0?card=virtio-net,vhost-user=/s,tap=plx",
                                  "0?card=virtio-net,vhost-user=/s,queues=5",
                                  "0?tap=plx,queues=0",
                                  "0?tap=plx,queues=5",
                                  "0?tap=plx,queues=x",
                                  "?qemu=/x",
                                  ",",
                                  "0?qemu=/x,",
                                  "0?timeout=1,timeout=2",
                                  "0?qemu=/x,qemu=/y",
                                  "0?timeout=1?timeout=1"}) {
    const auto target = parse_target(which);
    ASSERT_FALSE(target) << which;
    EXPECT_EQ(target.error().code, ErrorCode::invalid_argument) << which;
    EXPECT_NE(target.error().what.find(which), std::string::npos) << which;
    EXPECT_FALSE(target.error().hint.empty()) << which;
  }
  EXPECT_FALSE(parse_target("0?card=virtio-net,vhost-user=/" + std::string(106, 's')));
}

}  // namespace
}  // namespace pollux::qtest
