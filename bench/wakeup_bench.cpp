// SPDX-License-Identifier: BSD-3-Clause
// Measures a receiver that sleeps: the time from the sending of a frame to its receipt, and the processor time of the
// receiving thread, at several rates. Beside it one that polls, an adaptive Poller, and on the TAP a blocking AF_PACKET
// reader, as on a pair of veth interfaces beside `xdp:`. Prints a table. Needs two free processors; interfaces of the
// kernel need root.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <thread>

#include <fmt/format.h>

#include "fixture.hpp"
#include "measure.hpp"

namespace pollux::bench {
namespace {

constexpr std::size_t kFrame = 64;
constexpr std::size_t kStamp = 16;  // offset of the time at which the frame was sent
constexpr std::size_t kMark = 24;   // offset of a number that other frames do not have
constexpr std::uint64_t kOurs = 0x706F6C6C75782121;
constexpr std::uint64_t kFull = ~std::uint64_t{0};
constexpr std::array<std::uint64_t, 5> kRates{0, 1'000, 10'000, 100'000, kFull};
constexpr auto kWindow = std::chrono::seconds(1);
constexpr int kRuns = 5;
constexpr auto kPatience = std::chrono::milliseconds(100);
constexpr const char* kTap = "polluxwake";

using Bytes = std::array<std::uint8_t, kFrame>;

std::uint64_t now_ns(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(time.tv_nsec);
}

Bytes stamped() {
  Bytes frame{};
  std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
  frame[6] = 0x02;
  frame[12] = 0x88;  // IEEE 802's EtherType for local experiments
  frame[13] = 0xB5;
  const std::uint64_t stamp = now_ns(CLOCK_MONOTONIC);
  std::memcpy(frame.data() + kStamp, &stamp, sizeof stamp);
  std::memcpy(frame.data() + kMark, &kOurs, sizeof kOurs);
  return frame;
}

/// How long frames took, in nanoseconds.
class Delays {
 public:
  void note(const std::uint8_t* frame, std::size_t bytes) {
    std::uint64_t words[2];
    if (bytes < kStamp + sizeof words) return;
    std::memcpy(words, frame + kStamp, sizeof words);
    if (words[1] == kOurs) delays_.push_back(static_cast<double>(now_ns(CLOCK_MONOTONIC) - words[0]));
  }
  [[nodiscard]] std::size_t count() const { return delays_.size(); }
  [[nodiscard]] double percentile(double share) {
    if (delays_.empty()) return 0;
    const auto at = delays_.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(delays_.size() - 1));
    std::nth_element(delays_.begin(), at, delays_.end());
    return *at;
  }

 private:
  std::vector<double> delays_;
};

/// Receives what has come, waiting for a while where it can sleep.
using Receive = std::function<void(Delays&)>;
/// Sends a frame. Returns whether it was taken.
using Send = std::function<bool(const Bytes&)>;

/// The result of one run.
struct Figures {
  double per_second = 0;  ///< frames received
  double p50 = 0;         ///< microseconds
  double p99 = 0;         ///< microseconds
  double processor = 0;   ///< per cent of one
};

void send_at(std::uint64_t rate, const Send& send, const std::atomic<bool>& over) {
  const std::uint64_t start = now_ns(CLOCK_MONOTONIC);
  std::uint64_t sent = 0;
  while (!over.load(std::memory_order_relaxed)) {
    const std::uint64_t due = start + (rate == 0 || rate == kFull ? 0 : sent * 1'000'000'000 / rate);
    if (rate == 0 || (rate != kFull && now_ns(CLOCK_MONOTONIC) < due)) {
      std::this_thread::sleep_for(std::chrono::microseconds(rate > 10'000 ? 20 : 50));
      continue;
    }
    if (send(stamped())) {
      ++sent;
    } else {
      std::this_thread::yield();
    }
  }
}

Figures run_once(std::uint64_t rate, const Send& send, const Receive& receive) {
  std::atomic<bool> over{false};
  Delays delays;
  std::uint64_t processor = 0;
  std::thread receiver([&] {
    const std::uint64_t before = now_ns(CLOCK_THREAD_CPUTIME_ID);
    while (!over.load(std::memory_order_relaxed)) receive(delays);
    processor = now_ns(CLOCK_THREAD_CPUTIME_ID) - before;
  });
  const std::uint64_t start = now_ns(CLOCK_MONOTONIC);
  std::thread sender([&] { send_at(rate, send, over); });
  std::this_thread::sleep_for(kWindow);
  over = true;
  const double seconds = static_cast<double>(now_ns(CLOCK_MONOTONIC) - start) / 1e9;
  sender.join();
  receiver.join();
  return {.per_second = static_cast<double>(delays.count()) / seconds,
          .p50 = delays.percentile(0.5) / 1e3,
          .p99 = delays.percentile(0.99) / 1e3,
          .processor = static_cast<double>(processor) / seconds / 1e7};
}

std::string spread(const std::vector<Figures>& runs, double Figures::*what) {
  std::vector<double> values;
  for (const Figures& run : runs) values.push_back(run.*what);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return fmt::format("{:.3g} [{:.3g} to {:.3g}]", median(values), *least, *most);
}

void measure_all(const char* what, const Send& send, const Receive& receive) {
  for (const std::uint64_t rate : kRates) {
    std::vector<Figures> runs;
    for (int run = 0; run < kRuns; ++run) runs.push_back(run_once(rate, send, receive));
    const std::string name = rate == kFull ? "full" : fmt::format("{}", rate);
    const bool any = rate != 0;
    fmt::print("| {} | {} | {} | {} | {} | {} |\n", what, name, any ? spread(runs, &Figures::per_second) : "",
               any ? spread(runs, &Figures::p50) : "", any ? spread(runs, &Figures::p99) : "",
               spread(runs, &Figures::processor));
    std::fflush(stdout);
  }
}

/// A receiver on a port.
class PortReceiver {
 public:
  PortReceiver(Context& context, Port& port) : context_(context), port_(port) {}
  void poll(Delays& delays) {
    Burst<32> burst;
    port_.rx(0).rx_burst(burst);
    note(burst, delays);
  }
  void sleep(Delays& delays) {
    Burst<32> burst;
    need(rx_burst_wait(context_.clock(), port_.rx(0), burst, kPatience));
    note(burst, delays);
  }

 private:
  void note(Burst<32>& burst, Delays& delays) {
    for (const Mbuf& frame : burst) delays.note(frame.data(), frame.length());
    burst.drop(received_);
  }

  Context& context_;
  Port& port_;
  DropCounter received_{"received"};
};

/// A receiver that a Poller calls.
class PollerReceiver {
 public:
  PollerReceiver(Context& context, Port& port, PollMode mode) : poller_(context) {
    need(poller_.add(port.rx(0),
                     [this](Burst<32>& burst) {
                       for (const Mbuf& frame : burst) delays_->note(frame.data(), frame.length());
                       burst.drop(received_);
                     },
                     {.mode = mode}));
  }
  void receive(Delays& delays) {
    delays_ = &delays;
    need(poller_.run_once(poller_.clock().now() + kPatience));
  }

 private:
  Poller poller_;
  Delays* delays_ = nullptr;
  DropCounter received_{"received"};
};

void measure_poller(const char* what, const Send& send, Context& context, Port& port) {
  PollerReceiver receiver(context, port, PollMode::adaptive);
  measure_all(what, send, [&](Delays& delays) { receiver.receive(delays); });
}

/// A raw socket on the TAP, as a program of the kernel's network stack has it.
class PacketSocket {
 public:
  explicit PacketSocket(const char* name) : descriptor_(::socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))) {
    address_.sll_family = AF_PACKET;
    address_.sll_protocol = htons(ETH_P_ALL);
    address_.sll_ifindex = static_cast<int>(if_nametoindex(name));
    const timeval patience{0, std::chrono::microseconds(kPatience).count()};
    if (descriptor_ < 0 || ::bind(descriptor_, reinterpret_cast<const sockaddr*>(&address_), sizeof address_) != 0 ||
        ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) {
      give_up(fmt::format("no raw socket on {}: {}", name, std::strerror(errno)));
    }
  }
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  ~PacketSocket() { ::close(descriptor_); }

  [[nodiscard]] bool send(const Bytes& frame) const {
    return ::send(descriptor_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }
  void receive(Delays& delays) const {
    std::array<std::uint8_t, 2048> bytes;
    const ssize_t count = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (count > 0) delays.note(bytes.data(), static_cast<std::size_t>(count));
  }

 private:
  int descriptor_;
  sockaddr_ll address_{};
};

Port open_port(Context& context, const char* uri, const Mempool& pool) {
  Port port = need(open(context, uri, {.rx = {{.pool = pool}}}));
  need(port.wait_for_link(std::chrono::seconds(10)));
  return port;
}

void measure_cards() {
  Context context(logging_options());
  const Mempool pool = need(Mempool::create(context, {.count = 8192}));
  Port left = need(open(context, "sim:0?thread", {.rx = {{.pool = pool}}}));
  Port right = open_port(context, "sim:1?thread", pool);
  MempoolCache cache(pool);
  DropCounter unsent("unsent");
  const Send send = [&](const Bytes& frame) {
    Burst<1> burst;
    if (!burst.fill(cache, 1)) return false;
    std::copy(frame.begin(), frame.end(), burst[0].append(kFrame));
    const bool taken = left.tx(0).tx_burst(burst) == 1;
    burst.drop(unsent, cache);
    return taken;
  };
  PortReceiver receiver(context, right);
  measure_all("`sim:` on its thread, asleep", send, [&](Delays& delays) { receiver.sleep(delays); });
  measure_all("`sim:` on its thread, polling", send, [&](Delays& delays) { receiver.poll(delays); });
  measure_poller("`sim:` on its thread, adaptive Poller", send, context, right);
}

void measure_tap() {
  Context context(logging_options());
  const Mempool pool = need(Mempool::create(context, {.count = 8192}));
  auto opened = open(context, fmt::format("tap:{}", kTap), {.rx = {{.pool = pool}}});
  if (!opened) {
    fmt::print("LEFT OUT: the TAP: {}\n", opened.error().message());
    return;
  }
  const PacketSocket kernel(kTap);
  const Send send = [&](const Bytes& frame) { return kernel.send(frame); };
  PortReceiver receiver(context, *opened);
  measure_all("TAP, asleep", send, [&](Delays& delays) { receiver.sleep(delays); });
  measure_all("TAP, polling", send, [&](Delays& delays) { receiver.poll(delays); });
  measure_poller("TAP, adaptive Poller", send, context, *opened);
  // The kernel shows the reader what it sends to the TAP. The port reads nothing meanwhile, and its queue overflows.
  const PacketSocket reader(kTap);
  measure_all("TAP, AF_PACKET, blocking", send, [&](Delays& delays) { reader.receive(delays); });
}

void measure_veth() {
  constexpr const char* kNear = "plxwake0";
  constexpr const char* kFar = "plxwake1";
  const std::string pair =
      fmt::format("ip link add {0} type veth peer name {1} && ip link set {0} up && ip link set {1} up", kNear, kFar);
  if (std::system(pair.c_str()) != 0) {
    fmt::print("LEFT OUT: a pair of veth interfaces, which needs root\n");
    return;
  }
  {
    const PacketSocket kernel(kNear);
    const Send send = [&](const Bytes& frame) { return kernel.send(frame); };
    {
      Context context(logging_options());
      const Mempool pool = need(Mempool::create(context, {.count = 8192}));
      Port port = open_port(context, fmt::format("xdp:{}?rule=type:0x88b5", kFar).c_str(), pool);
      PortReceiver receiver(context, port);
      measure_all("`xdp:` on veth, asleep", send, [&](Delays& delays) { receiver.sleep(delays); });
    }
    const PacketSocket reader(kFar);
    measure_all("veth, AF_PACKET, blocking", send, [&](Delays& delays) { reader.receive(delays); });
  }
  if (std::system(fmt::format("ip link del {}", kNear).c_str()) != 0) fmt::print("{} was not deleted\n", kNear);
}

}  // namespace
}  // namespace pollux::bench

int main() {
  fmt::print(
      "| receiver | frames a second sent | received a second | p50, us | p99, us | processor, % |\n"
      "|---|---|---|---|---|---|\n");
  pollux::bench::measure_cards();
  pollux::bench::measure_tap();
  pollux::bench::measure_veth();
  return 0;
}
