// SPDX-License-Identifier: BSD-3-Clause
#include "conformance/fixture.hpp"

#include "conformance/own_network.hpp"
#include "support/settings_edits.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace pollux::conformance {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kHeader = 14;
constexpr std::size_t kWindow = 32;  // frames in flight: half a ring
/// The longest wait for a frame. It is long, for machines under load.
constexpr Duration kArrivalLimit = seconds(10);
/// The time without frames that counts as silence. If the machine stalls for longer, a test may pass wrongly, but none
/// fails wrongly.
constexpr Duration kSilence = milliseconds(40);

bool is_ours(const Bytes& frame) { return frame.size() >= kHeader && frame[12] == 0x88 && frame[13] == 0xB5; }

/// The burst mode of the suite's ports. POLLUX_CONFORMANCE_BURST_MODE replaces the default, `best`.
BurstMode chosen_burst_mode() {
  const char* const text = std::getenv("POLLUX_CONFORMANCE_BURST_MODE");
  if (text == nullptr || *text == '\0') return BurstMode::best;
  const auto mode = burst_mode_of(text);
  if (!mode) throw std::runtime_error("POLLUX_CONFORMANCE_BURST_MODE is not a known burst mode");
  return *mode;
}

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

Bytes make_frame(std::size_t bytes, std::uint32_t number, const MacAddress& to) {
  Bytes frame(bytes);
  for (std::size_t i = kHeader + 4; i < bytes; ++i) frame[i] = static_cast<std::uint8_t>(i * 7 + number * 31);
  std::copy(to.begin(), to.end(), frame.begin());
  const MacAddress from{0x02, 0x43, 0, 0, 0, 0x01};
  std::copy(from.begin(), from.end(), frame.begin() + 6);
  frame[12] = 0x88;  // IEEE 802's EtherType for local experiments
  frame[13] = 0xB5;
  std::memcpy(frame.data() + kHeader, &number, sizeof number);
  return frame;
}

Bytes make_flow(std::uint32_t number) {
  Bytes frame = make_frame(60, number);
  const auto address = static_cast<std::uint8_t>(number + 1);
  const Bytes header{0x08, 0x00, 0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, address, 10, 0, 0, 1};
  std::copy(header.begin(), header.end(), frame.begin() + 12);
  return frame;
}

std::vector<Bytes> make_frames(std::size_t count, std::size_t bytes, const MacAddress& to) {
  std::vector<Bytes> frames;
  for (std::uint32_t i = 0; i < count; ++i) frames.push_back(make_frame(bytes, i, to));
  return frames;
}

Bytes content(const Mbuf& mbuf) {
  Bytes bytes(mbuf.packet_length());
  bytes.resize(mbuf.copy_out(0, bytes));
  return bytes;
}

void Conformance::SetUp() {
  if (pair().obstacle) FAIL() << *pair().obstacle;
  context_.emplace(ContextOptions{.clock = nullptr, .log = nullptr, .on_misuse = [this](const Misuse& what) {
                                    const std::lock_guard guard(reports_);
                                    misuse_.push_back(what.what);
                                  }});
  if (pair().prepare) pair().prepare(*context_);
  if (traits().needs_relay) enter_own_network();
  left_ = open_port(pair().left);
  // Opened second, because opening the sender creates the file that the receiver reads.
  if (traits().two_ports()) right_ = open_port(pair().right);
  // Created after the ports: a port without an IOMMU accepts no memory that was allocated before it.
  pool_ = must(Mempool::create(*context_, {.count = 2048, .name = "conformance"}));
  cache_.emplace(*pool_);
  if (traits().needs_relay) relay_ = std::make_unique<Relay>(pair().left, pair().right);
}

void Conformance::TearDown() {
  left_.reset();
  right_.reset();
  relay_.reset();
  if (pool_) {
    EXPECT_EQ(pool_->stats().in_use(), 0U) << "both ports are closed, but not all buffers were freed";
  }
  cache_.reset();
  pool_.reset();
  context_.reset();
  for (const std::string& what : misuse_) ADD_FAILURE() << "misuse: " << what;
  if (traits().by_file) ::unlink(pair().left.substr(pair().left.find('=') + 1).c_str());
}

pollux::Settings Conformance::config() {
  pollux::Settings config = this->config(*pool_);
  config.rx[0].cache = config.tx[0].cache = *cache_;
  return config;
}

pollux::Settings Conformance::config(const Mempool& pool) {
  return {.rx = {{.pool = pool, .ring = 64}}, .tx = {{.ring = 64}}, .burst_mode = chosen_burst_mode()};
}

Port Conformance::open_port(const std::string& uri) {
  Port port = must(open_unconfigured(*context_, uri));
  if (traits().two_ports()) return port;
  must(port.change([&](pollux::Settings& settings) { settings.loopback = traits().loopback; }));
  return port;
}

void Conformance::start_both() { start_both(config(), config()); }

void Conformance::start_both(const pollux::Settings& left, const pollux::Settings& right) {
  if (traits().two_ports()) {
    must(test::configure_port(*left_, left));
    must(test::configure_port(*right_, right));
    must(left_->start());
    must(right_->start());
  } else {
    pollux::Settings both = left;
    both.rx = right.rx;
    must(test::configure_port(*left_, both));
    must(left_->start());
  }
  wait_for_links();
}

void Conformance::stop_both() {
  must(left_->stop());
  if (traits().two_ports()) must(right_->stop());
}

void Conformance::start_again() {
  must(left_->start());
  if (traits().two_ports()) must(right_->start());
  wait_for_links();
}

void Conformance::wait_for_links() {
  must(left().wait_for_link(kArrivalLimit));
  must(right().wait_for_link(kArrivalLimit));
}

MbufPtr Conformance::make_mbuf(std::span<const std::uint8_t> frame, std::size_t segment_bytes) {
  MbufPtr whole;
  do {
    const std::size_t count = std::min(frame.size(), segment_bytes);
    MbufPtr segment = cache_->allocate();
    if (segment == nullptr) throw std::runtime_error("the pool is exhausted");
    std::uint8_t* const data = segment->append(static_cast<std::uint32_t>(count));
    if (data == nullptr) throw std::runtime_error("a segment does not fit its mbuf");
    std::copy_n(frame.begin(), count, data);
    frame = frame.subspan(count);
    if (whole == nullptr) {
      whole = std::move(segment);
    } else if (!whole->chain(segment)) {
      throw std::runtime_error("too many segments");
    }
  } while (!frame.empty());
  return whole;
}

void Conformance::send(Port& port, const std::vector<Bytes>& frames, std::size_t segment_bytes) {
  const Duration deadline = context_->clock().now() + kArrivalLimit;
  auto next = frames.begin();
  Burst<32> burst;
  while (next != frames.end() || !burst.empty()) {
    while (next != frames.end() && !burst.full()) {
      MbufPtr mbuf = make_mbuf(*next++, segment_bytes);
      if (!burst.push(mbuf)) throw std::runtime_error("a burst with room does not accept an mbuf");
    }
    port.tx(0).tx_burst(burst);
    discard_own(port);
    if (burst.empty()) continue;
    pass_time();
    if (context_->clock().now() < deadline) continue;
    DropCounter stuck("stuck");
    burst.drop(stuck, *cache_);
    ADD_FAILURE() << port.info().name << " accepts no frames";
    return;
  }
}

// QEMU copies a frame to all functions of its card, also the sender, during the write of the sender's tail register.
void Conformance::discard_own(Port& port) {
  if (!traits().receives_own_broadcasts) return;
  DropCounter own("own");
  Burst<32> burst;
  while (port.rx(0).rx_burst(burst) != 0) burst.drop(own, *cache_);
}

void Conformance::receive_multicast(Port& port, const MacAddress& group, bool on) {
  if (traits().all_multicast) {
    ASSERT_TRUE(test::set_all_multicast(port, on));
    return;
  }
  ASSERT_TRUE(port.change([&](pollux::Settings& settings) {
    settings.multicast.clear();
    if (on) settings.multicast.push_back(group);
  }));
}

std::vector<Bytes> Conformance::receive(Port& port, std::size_t count) {
  std::vector<Bytes> frames;
  DropCounter checked("checked");
  Duration last = context_->clock().now();
  const auto poll = [&] {
    bool any = false;
    for (std::uint16_t queue = 0; port.rx_queue(queue) != nullptr && frames.size() < count; ++queue) {
      Burst<32> burst;
      port.rx(queue).rx_burst(burst, static_cast<std::uint32_t>(std::min<std::size_t>(32, count - frames.size())));
      any = any || !burst.empty();
      for (Mbuf& mbuf : burst) {
        if (Bytes bytes = content(mbuf); is_ours(bytes)) frames.push_back(std::move(bytes));
      }
      burst.drop(checked, *cache_);
    }
    return any;
  };
  while (frames.size() < count) {
    if (poll()) {
      last = context_->clock().now();
    } else if (context_->clock().now() - last >= kArrivalLimit) {
      break;
    } else {
      pass_time();
    }
  }
  return frames;
}

// A newly opened receiver reads the file from its beginning, so frames that were received before are skipped.
void Conformance::reopen_receiver() {
  const pollux::Settings again = config();
  const std::uint32_t mtu = right_->settings().mtu;
  right_.reset();
  right_ = open_port(pair().right);
  must(test::configure_port(*right_, again));
  if (mtu != again.mtu) must(test::set_mtu(*right_, mtu));
  must(right_->start());
  static_cast<void>(receive(*right_, frames_in_file_));
}

std::vector<Bytes> Conformance::exchange(Port& from, Port& to, const std::vector<Bytes>& frames,
                                         std::size_t segment_bytes) {
  std::vector<Bytes> arrived;
  if (traits().by_file) {
    send(from, frames, segment_bytes);
    reopen_receiver();
    frames_in_file_ += frames.size();
    return receive(*right_, frames.size());
  }
  for (std::size_t sent = 0; sent < frames.size();) {
    // A long frame needs several of the receiver's buffers.
    const std::size_t window = frames[sent].size() > 2048 ? 4 : traits().waits_when_full ? kWindow : kWindow / 2;
    const std::size_t count = std::min(window, frames.size() - sent);
    const auto first = frames.begin() + static_cast<std::ptrdiff_t>(sent);
    send(from, {first, first + static_cast<std::ptrdiff_t>(count)}, segment_bytes);
    for (Bytes& frame : receive(to, count)) arrived.push_back(std::move(frame));
    sent += count;
    if (arrived.size() != sent) break;
    EXPECT_TRUE(context_->control().run_due());
  }
  return arrived;
}

void Conformance::expect_exchange(const std::vector<Bytes>& frames, std::size_t segment_bytes) {
  const auto expect_same = [&](const std::vector<Bytes>& arrived, std::string_view direction) {
    ASSERT_EQ(arrived.size(), frames.size()) << direction;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      ASSERT_EQ(arrived[i], frames[i]) << direction << ", frame " << i << " of " << frames[i].size() << " bytes";
    }
  };
  expect_same(exchange(left(), right(), frames, segment_bytes), "left to right");
  if (traits().bidirectional) expect_same(exchange(right(), left(), frames, segment_bytes), "right to left");
}

void Conformance::expect_silence(Port& port) {
  const Duration end = context_->clock().now() + kSilence;
  DropCounter checked("checked");
  while (context_->clock().now() < end) {
    Burst<32> burst;
    port.rx(0).rx_burst(burst);
    for (Mbuf& mbuf : burst) EXPECT_FALSE(is_ours(content(mbuf))) << "a frame of " << mbuf.packet_length() << " bytes";
    burst.drop(checked, *cache_);
    pass_time();
  }
}

void Conformance::pass_time() {
  if (relay_ != nullptr) relay_->run();
  std::this_thread::sleep_for(std::chrono::microseconds(50));
}

std::uint64_t Conformance::drops(Port& port, std::string_view name) {
  for (const Counter& counter : port.stats().drops) {
    if (counter.name == name) return counter.value;
  }
  ADD_FAILURE() << port.info().name << " has no drop counter " << name;
  return 0;
}

std::uint64_t Conformance::dropped(Port& port, std::string_view prefix) {
  std::uint64_t sum = 0;
  for (const Counter& counter : port.stats().drops) {
    if (counter.name.starts_with(prefix)) sum += counter.value;
  }
  return sum;
}

void Conformance::settle(Port& port) {
  const auto done = wait_until(context_->clock(), "the emptying of the transmit ring", kArrivalLimit, [&] {
    port.tx(0).tx_done_cleanup();
    pass_time();
    return port.tx(0).in_flight() == 0;
  });
  EXPECT_TRUE(done) << port.info().name;
}

void Conformance::clear_misuse() {
  const std::lock_guard guard(reports_);
  misuse_.clear();
}

}  // namespace pollux::conformance
