// SPDX-License-Identifier: BSD-3-Clause
// A counter only grows: programs compute rates from the differences, and a smaller value looks like a wrapped one.
#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>

#include "conformance/fixture.hpp"
#include "support/settings_edits.hpp"

namespace pollux::conformance {
namespace {

class Counters : public Conformance {
 protected:
  using Values = std::map<std::string, std::uint64_t>;

  Values values_of(Port& port) {
    Values values;
    for (const Counter& counter : port.extended_stats()) values[counter.name] = counter.value;
    return values;
  }
  /// Compares all counters of both ports with those of the last call.
  void expect_none_fell(const std::string& step) {
    expect_none_fell(left(), left_before_, step);
    if (traits().two_ports()) expect_none_fell(right(), right_before_, step);
  }
  void expect_none_fell(Port& port, Values& before, const std::string& step) {
    Values now = values_of(port);
    for (const auto& [name, value] : before) {
      const auto found = now.find(name);
      const std::uint64_t later = found == now.end() ? 0 : found->second;
      EXPECT_GE(later, value) << port.info().name << ": " << name << " after: " << step;
    }
    before = std::move(now);
  }
  /// Frames in both directions, of which the receivers poll some.
  void send_some(std::uint32_t count) {
    for (Port* port : {&left(), &right()}) {
      for (const Bytes& frame : make_frames(count, 64)) {
        Burst<1> burst;
        MbufPtr mbuf = make_mbuf(frame);
        ASSERT_TRUE(burst.push(mbuf));
        port->tx(0).tx_burst(burst);
        burst = {};
      }
    }
    pass_time();
    static_cast<void>(receive(right(), std::min(count / 2, 20U)));
    expect_none_fell("frames");
  }
  template <class Step>
  void then(const std::string& name, Step step) {
    step();
    expect_none_fell(name);
  }

 private:
  Values left_before_;
  Values right_before_;
};

CONFORMANCE_TEST(Counters, NeverFall) {
  start_both();
  const auto ok = [](const auto& result) { EXPECT_TRUE(result) << result.error().message(); };
  send_some(40);
  then("refused frames", [&] {
    Burst<1> burst;
    MbufPtr mbuf = make_mbuf(make_frame(22, 1));
    ASSERT_TRUE(mbuf->trim(12));
    ASSERT_TRUE(burst.push(mbuf));
    left().tx(0).tx_burst(burst);
  });
  then("more frames than the rings have room for", [&] { send_some(300); });
  for (const auto& [first, second] : {std::pair(&left(), &right()), std::pair(&right(), &left())}) {
    send_some(40);
    then("restart of a transmit queue",
         [&, port = first] { ok(test::restart_tx(*port, 0, {.cache = *cache_, .ring = 128})); });
    send_some(40);
    then("restart of a receive queue", [&, port = first] {
      const auto restarted = test::restart_rx(*port, 0, {.pool = *pool_, .cache = *cache_, .ring = 128});
      EXPECT_EQ(restarted.has_value(), traits().restarts_receive);
    });
    send_some(40);
    then("a queue that is stopped and started", [&, port = first] {
      ok(port->stop_queue(QueueId::tx(0)));
      ok(port->start_queue(QueueId::tx(0)));
      if (!traits().restarts_receive) return;
      ok(port->stop_queue(QueueId::rx(0)));
      ok(port->start_queue(QueueId::rx(0)));
    });
    send_some(40);
    then("stop of one port", [&, port = first] { ok(port->stop()); });
    if (traits().two_ports()) then("stop of the other port", [&, port = second] { ok(port->stop()); });
    then("another configuration", [&, port = first] {
      pollux::Settings smaller = config();
      smaller.rx[0].ring = smaller.tx[0].ring = 32;
      ok(test::configure_port(*port, smaller));
    });
    then("the same configuration", [&, port = first] { ok(test::configure_port(*port, config())); });
    then("start", [&] { start_again(); });
    send_some(40);
  }
}

CONFORMANCE_TEST_WHERE(Counters, NeverFallWithFewerQueues, traits.several_queues) {
  pollux::Settings several = config();
  several.rx.resize(4, several.rx[0]);
  several.tx.resize(4, several.tx[0]);
  start_both(several, several);
  for (std::uint16_t queue = 0; queue < 4; ++queue) {
    Burst<1> burst;
    MbufPtr mbuf = make_mbuf(make_frame(64, queue));
    ASSERT_TRUE(burst.push(mbuf));
    left().tx(queue).tx_burst(burst);
  }
  send_some(20);
  for (const std::uint16_t queues : std::initializer_list<std::uint16_t>{2, 1, 4}) {
    stop_both();
    expect_none_fell("stop");
    pollux::Settings fewer = config();
    fewer.rx.resize(queues, fewer.rx[0]);
    fewer.tx.resize(queues, fewer.tx[0]);
    ASSERT_TRUE(test::configure_port(left(), fewer));
    if (traits().two_ports()) {
      ASSERT_TRUE(test::configure_port(right(), fewer));
    }
    expect_none_fell("another number of queues");
    start_again();
    send_some(20);
  }
}

CONFORMANCE_TEST(Counters, NeverFallWhenThePortIsClosed) {
  start_both();
  send_some(100);
  ASSERT_TRUE(left().close());
  expect_none_fell("close");
}

}  // namespace
}  // namespace pollux::conformance
