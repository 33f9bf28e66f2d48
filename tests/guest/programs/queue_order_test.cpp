// SPDX-License-Identifier: BSD-3-Clause
// The order in which queueing disciplines let a backlog go, compared with the kernel's of the same name on a veth pair.
// They run in the guest, whose kernel has all of them.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pollux/pollux.hpp"

namespace pollux {
namespace {

constexpr std::uint16_t kEtherType = 0x88B5;  // IEEE 802's for local experiments
constexpr std::uint32_t kClasses = 3;
constexpr std::array<std::uint32_t, kClasses> kQuanta{300, 1'000, 1'514};
constexpr std::uint32_t kPlug = 1'514;  // bytes of the frame that empties the token bucket

struct Frame {
  std::uint32_t band;
  std::uint32_t length;
};
using Order = std::vector<std::uint32_t>;

void run(const std::string& command) {
  ASSERT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(cert-env33-c): commands of the guest
}

/// 60 frames, none so short that what is left in the token bucket would let it pass.
std::vector<Frame> random_frames(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Frame> frames;
  for (int i = 0; i < 60; ++i)
    frames.push_back(
        {static_cast<std::uint32_t>(random() % kClasses), 300 + static_cast<std::uint32_t>(random() % 700)});
  return frames;
}

class PacketSocket {
 public:
  explicit PacketSocket(const char* interface) : socket_(::socket(AF_PACKET, SOCK_RAW, htons(kEtherType))) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(kEtherType);
    address.sll_ifindex = static_cast<int>(::if_nametoindex(interface));
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << interface;
  }
  PacketSocket(const PacketSocket&) = delete;
  PacketSocket& operator=(const PacketSocket&) = delete;
  ~PacketSocket() { ::close(socket_); }

  /// The kernel's classful disciplines take a priority of this form as the class (tc-prio(8), tc-drr(8)).
  void send(std::uint32_t number, const Frame& frame) const {
    const std::uint32_t priority = 2U << 16U | (frame.band + 1);
    ASSERT_EQ(::setsockopt(socket_, SOL_SOCKET, SO_PRIORITY, &priority, sizeof priority), 0);
    std::vector<std::uint8_t> bytes(frame.length);
    std::fill_n(bytes.begin(), 6, std::uint8_t{0xFF});
    bytes[6] = 0x02;
    const std::uint16_t type = htons(kEtherType);
    std::memcpy(&bytes[12], &type, sizeof type);
    std::memcpy(&bytes[14], &number, sizeof number);
    ASSERT_EQ(::send(socket_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  /// The numbers of the next `count` frames; fewer if none comes for 20 s.
  [[nodiscard]] Order receive(std::size_t count) const {
    Order numbers;
    std::array<std::uint8_t, 2'048> bytes{};
    pollfd query{socket_, POLLIN, 0};
    while (numbers.size() < count && ::poll(&query, 1, 20'000) == 1) {
      if (::recv(socket_, bytes.data(), bytes.size(), 0) < 18) continue;
      std::memcpy(&numbers.emplace_back(), &bytes[14], sizeof(std::uint32_t));
    }
    return numbers;
  }

 private:
  int socket_;
};

/// A veth pair from qa to qb. A token bucket at qa holds back what is sent, so that it waits in the discipline below
/// it.
class KernelQueue {
 public:
  explicit KernelQueue(const std::vector<std::string>& discipline) {
    run("ip link add qa type veth peer name qb");
    for (const char* const name : {"qa", "qb"}) {
      run(std::string("echo 1 >/proc/sys/net/ipv6/conf/") + name + "/disable_ipv6");
      run(std::string("ip link set ") + name + " up");
    }
    // 250 bytes a second: the first frame after the plug waits for a second or so.
    run("tc qdisc add dev qa root handle 1: tbf rate 2kbit burst 1600 limit 1000000");
    for (const std::string& words : discipline) run("tc " + words);
  }
  KernelQueue(const KernelQueue&) = delete;
  KernelQueue& operator=(const KernelQueue&) = delete;
  ~KernelQueue() { run("ip link del qa"); }

  [[nodiscard]] Order order_of(const std::vector<Frame>& frames) const {
    const PacketSocket sender("qa");
    const PacketSocket receiver("qb");
    sender.send(UINT32_MAX, {0, kPlug});
    EXPECT_EQ(receiver.receive(1), Order{UINT32_MAX});
    for (std::uint32_t number = 0; number < frames.size(); ++number) sender.send(number, frames[number]);
    run("tc qdisc change dev qa root handle 1: tbf rate 1gbit burst 100000 limit 1000000");
    return receiver.receive(frames.size());
  }
};

class QueueOrder : public testing::Test {
 protected:
  using Discipline = std::unique_ptr<QueueDiscipline>;

  static Discipline fifo() { return make_fifo().value(); }

  void enqueue(QueueDiscipline& queue, std::uint32_t number, const Frame& frame) {
    MbufPtr mbuf = cache_.allocate();
    ASSERT_NE(mbuf, nullptr);
    ASSERT_NE(mbuf->append(frame.length), nullptr);
    mbuf->set_user(frame.band);
    mbuf->set_timestamp(number);
    Burst<1> burst;
    ASSERT_TRUE(burst.push(mbuf));
    queue.enqueue(burst, {});
  }
  void dequeue(QueueDiscipline& queue, Order& order) {
    Burst<1> burst;
    if (queue.dequeue(burst, {}) == 0) return;
    order.push_back(static_cast<std::uint32_t>(burst[0].timestamp()));
    burst.drop(sent_);
  }
  /// `takes_first`: the kernel's token bucket takes the first frame out of the discipline as soon as it comes, to learn
  /// its length. It does so with disciplines that cannot show it (qdisc_peek_dequeued).
  Order order_of(QueueDiscipline& queue, const std::vector<Frame>& frames, bool takes_first) {
    Order order;
    for (std::uint32_t number = 0; number < frames.size(); ++number) {
      enqueue(queue, number, frames[number]);
      if (number == 0 && takes_first) dequeue(queue, order);
    }
    while (queue.backlog().frames != 0) dequeue(queue, order);
    return order;
  }
  template <class Make>
  void compare(const std::vector<std::string>& kernels, const Make& make, bool takes_first) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(seed);
      const std::vector<Frame> frames = random_frames(seed);
      const Discipline ours = make();
      const Order expected = KernelQueue(kernels).order_of(frames);
      ASSERT_EQ(expected.size(), frames.size()) << "the kernel lost frames";
      EXPECT_EQ(order_of(*ours, frames, takes_first), expected);
      EXPECT_EQ(ours->dropped(), 0U);
    }
  }

  Context context_{{.huge_pages = HugePages::never}};
  Mempool pool_ = Mempool::create(context_, {.count = 256}).value();
  MempoolCache cache_{pool_};
  DropCounter sent_{"sent"};
};

TEST_F(QueueOrder, FifoIsThatOfPfifo) {
  compare(
      {"qdisc add dev qa parent 1:1 handle 2: pfifo limit 1000"}, [] { return fifo(); }, false);
}

TEST_F(QueueOrder, StrictPriorityIsThatOfPrio) {
  const auto make = [] {
    StrictPriorityOptions options;
    for (std::uint32_t band = 0; band < kClasses; ++band) options.bands.push_back(fifo());
    return make_strict_priority(std::move(options)).value();
  };
  compare({"qdisc add dev qa parent 1:1 handle 2: prio bands 3"}, make, false);
}

TEST_F(QueueOrder, DeficitRoundRobinIsThatOfDrr) {
  const auto make = [] {
    DrrOptions options;
    for (const std::uint32_t quantum : kQuanta) options.classes.push_back({.quantum = quantum, .queue = fifo()});
    return make_deficit_round_robin(std::move(options)).value();
  };
  std::vector<std::string> kernels{"qdisc add dev qa parent 1:1 handle 2: drr"};
  for (std::uint32_t band = 0; band < kClasses; ++band) {
    kernels.push_back("class add dev qa parent 2: classid 2:" + std::to_string(band + 1) + " drr quantum " +
                      std::to_string(kQuanta[band]));
  }
  compare(kernels, make, true);
}

}  // namespace
}  // namespace pollux
