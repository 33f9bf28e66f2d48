// SPDX-License-Identifier: BSD-3-Clause
// The states of a port. A call that is invalid in a state must have no effect.
#include <functional>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class LifeCycle : public Conformance {
 protected:
  using Call = std::function<ErrorCode(Port&)>;
  struct Named {
    const char* name;
    Call call;
  };

  template <class T>
  static ErrorCode code_of(const Result<T>& result) {
    if (result) {
      ADD_FAILURE() << "the call succeeded";
      return ErrorCode::io_error;
    }
    EXPECT_FALSE(result.error().hint.empty()) << result.error().what;
    return result.error().code;
  }

  void expect_bad_state(Port& port, PortState state, const std::vector<Named>& calls) {
    ASSERT_EQ(port.state(), state);
    for (const Named& call : calls) {
      EXPECT_EQ(call.call(port), ErrorCode::bad_state) << call.name;
      EXPECT_EQ(port.state(), state) << call.name;
    }
  }

  const Named configure_{"configure", [](Port& p) {
                           return code_of(p.change([](pollux::Settings& settings) { settings.tx_timeout *= 2; }));
                         }};
  const Named start_{"start", [](Port& p) { return code_of(p.start()); }};
  const Named stop_{"stop", [](Port& p) { return code_of(p.stop()); }};
  const Named close_{"close", [](Port& p) { return code_of(p.close()); }};
  const Named set_mac_{"set_mac", [](Port& p) { return code_of(test::set_mac(p, {2, 0, 0, 0, 0, 9})); }};
  const Named set_mtu_{"set_mtu", [](Port& p) { return code_of(test::set_mtu(p, 1400)); }};
  const Named promiscuous_{"set_promiscuous", [](Port& p) { return code_of(test::set_promiscuous(p, true)); }};
  const Named multicast_{"set_all_multicast", [](Port& p) { return code_of(test::set_all_multicast(p, true)); }};
  const Named service_{"service", [](Port& p) { return code_of(p.service()); }};
};

CONFORMANCE_TEST(LifeCycle, RejectsInvalidCallsWhenOpened) {
  EXPECT_EQ(left().rx_queue(0), nullptr);
  EXPECT_EQ(left().tx_queue(0), nullptr);
  expect_bad_state(left(), PortState::opened, {start_, stop_});
  start_both();
  expect_exchange(make_frames(traits().delivers ? 8 : 0, 60));
}

CONFORMANCE_TEST(LifeCycle, RejectsInvalidCallsWhenConfigured) {
  ASSERT_TRUE(test::configure_port(left(), config()));
  expect_bad_state(left(), PortState::configured, {stop_});
  // A stopped queue accepts and returns no frames.
  Burst<4> burst;
  MbufPtr mbuf = make_mbuf(make_frame(60, 0));
  ASSERT_TRUE(burst.push(mbuf));
  EXPECT_EQ(left().tx(0).tx_burst(burst), 0U);
  EXPECT_EQ(burst.size(), 1U);
  Burst<4> empty;
  EXPECT_EQ(left().rx(0).rx_burst(empty), 0U);
  DropCounter unsent("unsent");
  burst.drop(unsent);
}

CONFORMANCE_TEST(LifeCycle, RejectsInvalidCallsWhenStarted) {
  start_both();
  expect_bad_state(left(), PortState::started, {configure_, start_});
  expect_exchange(make_frames(traits().delivers ? 8 : 0, 60));
}

CONFORMANCE_TEST(LifeCycle, RejectsEveryCallAfterClose) {
  start_both();
  EXPECT_TRUE(left().close());
  expect_bad_state(left(), PortState::closed,
                   {configure_, start_, stop_, close_, set_mac_, set_mtu_, promiscuous_, multicast_, service_});
  EXPECT_EQ(left().rx_queue(0), nullptr);
  EXPECT_EQ(left().tx_queue(0), nullptr);
  EXPECT_FALSE(left().link().up);
}

CONFORMANCE_TEST(LifeCycle, CanBeRestartedManyTimes) {
  start_both();
  for (int round = 0; round < 3; ++round) {
    expect_exchange(make_frames(traits().delivers ? 40 : 0, 60));
    stop_both();
    EXPECT_EQ(left().state(), PortState::configured);
    start_again();
  }
  expect_exchange(make_frames(traits().delivers ? 40 : 0, 60));
}

CONFORMANCE_TEST(LifeCycle, IsReconfiguredWhileStopped) {
  start_both();
  for (const std::uint32_t ring : {32U, 256U, 128U}) {
    stop_both();
    pollux::Settings other = config();
    other.rx[0].ring = other.tx[0].ring = ring;
    other.rx[0].cache = other.tx[0].cache = ring == 256 ? MempoolCache() : *cache_;
    start_both(other, other);
    expect_exchange(make_frames(traits().delivers ? 80 : 0, 100));
  }
}

CONFORMANCE_TEST(LifeCycle, CanBeOpenedAgainAfterClose) {
  for (int round = 0; round < 2; ++round) {
    start_both();
    expect_exchange(make_frames(traits().delivers ? 8 : 0, 60));
    EXPECT_TRUE(left().close());
    if (traits().two_ports()) {
      EXPECT_TRUE(right().close());
    }
    EXPECT_EQ(pool_->stats().in_use(), 0U);
    right_.reset();
    left_.reset();
    left_ = open_port(pair().left);
    if (traits().two_ports()) right_ = open_port(pair().right);
    if (traits().by_file || traits().needs_relay) {
      start_both();  // but no frame can arrive: the file is empty, or the relay's interfaces no longer exist
      return;
    }
  }
}

CONFORMANCE_TEST_WHERE(LifeCycle, OpensOnlyOnce, traits.delivers && !traits.by_file) {
  const auto second = open_unconfigured(*context_, pair().left);
  ASSERT_FALSE(second);
  const ErrorCode code = second.error().code;
  EXPECT_TRUE(code == ErrorCode::busy || code == ErrorCode::group_in_use) << second.error().message();
  start_both();
  expect_exchange(make_frames(8, 60));
}

CONFORMANCE_TEST(LifeCycle, ChangesNothingForARefusedConfiguration) {
  const PortLimits limits = left().info().limits;
  Context other_context;
  auto other_pool = Mempool::create(other_context, {.count = 256});
  auto second_pool = Mempool::create(*context_, {.count = 256});
  ASSERT_TRUE(other_pool && second_pool);
  const MempoolCache other_cache(*second_pool);
  const auto with = [&](auto change) {
    pollux::Settings config = this->config();
    change(config);
    return config;
  };
  const std::vector<pollux::Settings> bad{
      with([&](pollux::Settings& c) { c.rx.resize(static_cast<std::uint16_t>(limits.max_rx_queues + 1), c.rx[0]); }),
      with([&](pollux::Settings& c) { c.tx.resize(static_cast<std::uint16_t>(limits.max_tx_queues + 1), c.tx[0]); }),
      with([](pollux::Settings& c) { c.rx[0].ring = 100; }),
      with([&](pollux::Settings& c) { c.rx[0].ring = limits.min_ring / 2; }),
      with([&](pollux::Settings& c) { c.tx[0].ring = limits.max_ring * 2; }),
      with([](pollux::Settings& c) { c.tx[0].ring = 1; }),
      with([&](pollux::Settings& c) { c.mtu = limits.max_mtu + 1; }),
      with([&](pollux::Settings& c) { c.mtu = limits.min_mtu - 1; }),
      with([](pollux::Settings& c) { c.rx[0].pool = {}; }),  // the cache then belongs to another pool
      with([&](pollux::Settings& c) { c.rx[0].pool = *other_pool; }),
      with([&](pollux::Settings& c) { c.rx[0].cache = c.tx[0].cache = other_cache; }),
  };
  const auto refuse_all = [&](PortState state) {
    for (std::size_t i = 0; i < bad.size(); ++i) {
      EXPECT_EQ(code_of(test::configure_port(left(), bad[i])), ErrorCode::invalid_argument) << "configuration " << i;
      EXPECT_EQ(left().state(), state) << "configuration " << i;
    }
  };
  refuse_all(PortState::opened);
  ASSERT_TRUE(test::configure_port(left(), config()));
  refuse_all(PortState::configured);
  const pollux::Settings no_queues{.rx = {}, .tx = {}};
  EXPECT_EQ(code_of(test::configure_port(left(), no_queues)), ErrorCode::invalid_argument);
  EXPECT_EQ(left().settings().mtu, config().mtu);
  ASSERT_TRUE(test::configure_port(right(), config()));
  start_again();
  expect_exchange(make_frames(traits().delivers ? 40 : 0, 60));
}

CONFORMANCE_TEST_WHERE(LifeCycle, DoesNotStartWithoutBuffersForItsRings, traits.checks_fill) {
  const auto small = Mempool::create(*context_, {.count = 64});
  ASSERT_TRUE(small);
  auto held = MempoolCache(*small);
  ASSERT_TRUE(test::configure_port(right(), config(*small)));
  {
    const MbufPtr one = held.allocate();
    EXPECT_EQ(code_of(right().start()), ErrorCode::no_memory);
    EXPECT_EQ(right().state(), PortState::configured);
  }
  held = MempoolCache(*small);  // frees the mbufs that the first cache held
  EXPECT_TRUE(right().start());
  EXPECT_TRUE(right().stop());
  EXPECT_EQ(small->stats().in_use(), 0U);
}

CONFORMANCE_TEST(LifeCycle, FreesAllBuffersWhenClosedWithFramesInFlight) {
  start_both();
  // Fewer frames than any ring holds. The receiver never polls.
  send(left(), make_frames(48, 200));
  EXPECT_TRUE(left().close());
  if (traits().two_ports()) {
    EXPECT_TRUE(right().close());
  }
  EXPECT_EQ(pool_->stats().in_use(), 0U);
}

CONFORMANCE_TEST_WHERE(LifeCycle, FreesAllBuffersWhenTheReceiverClosesFirst, traits.two_ports()) {
  start_both();
  send(left(), make_frames(48, 200));
  EXPECT_TRUE(right().close());
  if (!traits().has_backpressure) send(left(), make_frames(48, 200));
  EXPECT_TRUE(left().close());
  EXPECT_EQ(pool_->stats().in_use(), 0U);
}

}  // namespace
}  // namespace pollux::conformance
