// SPDX-License-Identifier: BSD-3-Clause
// A card with QEMU's ids: the driver leaves alone what QEMU's card lacks.
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "device/decorator.hpp"
#include "pollux/net/flow/flow_rule.hpp"
#include "pollux/net/link_control.hpp"
#include "pollux/net/nvm.hpp"
#include "pollux/net/queue_pools.hpp"
#include "pollux/open.hpp"

namespace pollux::test {
namespace {

/// An in-process card that has the subsystem ids of QEMU's.
class QemusCard final : public DeviceDecorator {
 public:
  using DeviceDecorator::DeviceDecorator;
  [[nodiscard]] PciIdentity identity() const override {
    PciIdentity identity = DeviceDecorator::identity();
    identity.subsystem_vendor = 0x1AF4;
    identity.subsystem_device = 0x1100;
    return identity;
  }
};

Port open_port(Context& context, bool is_qemus) {
  auto device = open_device(context, "sim:0").value();
  if (is_qemus) device = std::make_unique<QemusCard>(std::move(device));
  return open_unconfigured(context, std::move(device)).value();
}

template <class T>
ErrorCode code_of(const Result<T>& result) {
  return result ? ErrorCode{} : result.error().code;
}

class Features : public testing::TestWithParam<bool> {
 protected:
  /// What a call answers that QEMU's card lacks.
  template <class T>
  [[nodiscard]] bool as_expected(const Result<T>& result) const {
    return is_qemus ? code_of(result) == ErrorCode::not_supported : result.has_value();
  }

  const bool is_qemus = GetParam();
  Context context{{.huge_pages = HugePages::never}};
  Port port{open_port(context, is_qemus)};
};

TEST_P(Features, LimitsAreThoseOfTheCard) {
  const PortInfo& info = port.info();
  EXPECT_EQ(info.missed_count, is_qemus ? MissedCount::lower_bound : MissedCount::exact);
  EXPECT_EQ(info.offloads.segments_tunnels, !is_qemus);
  EXPECT_EQ((info.offloads.tx_flags & TxOffload::udp_segmentation) != 0, !is_qemus);
  EXPECT_EQ(port.info().supports.test(Setting::rules), !is_qemus);
}

TEST_P(Features, WhatTheCardLacksIsNotSupported) {
  EXPECT_TRUE(as_expected(port.change([](Settings& settings) { settings.phy_enabled = false; })));
  EXPECT_TRUE(as_expected(port.capability<Nvm>()->write_nvm(0x1F, std::vector<std::uint16_t>{1})));
  EXPECT_TRUE(as_expected(
      port.change([](Settings& settings) { settings.pools = QueuePoolsConfig{.pools = {{.queues = 2}}}; })));
}

INSTANTIATE_TEST_SUITE_P(Cards, Features, testing::Bool(),
                         [](const auto& other) { return other.param ? "Qemus" : "Silicon"; });

}  // namespace
}  // namespace pollux::test
