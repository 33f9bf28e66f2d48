// SPDX-License-Identifier: BSD-3-Clause
#include <set>

#include "pollux/net/packet/sums.hpp"
#include "queueing_fixture.hpp"

namespace pollux::test {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using FlowNumbers = std::vector<std::uint64_t>;

class FqCodel : public QueueingFixture {
 protected:
  /// A UDP packet over IPv4 or IPv6, with an ECN field.
  MbufPtr packet(std::uint64_t number, std::uint8_t host, unsigned ecn, bool is_ipv6 = false) {
    MbufPtr made = frame(number);
    std::uint8_t* const data = made->data();
    std::uint8_t* const header = data + 14;
    if (is_ipv6) {
      data[12] = 0x86;
      data[13] = 0xDD;
      header[0] = 0x60;
      header[1] = static_cast<std::uint8_t>(ecn << 4U);
      header[5] = 46;
      header[6] = 17;
      header[23] = host;
    } else {
      data[12] = 0x08;
      header[0] = 0x45;
      header[1] = static_cast<std::uint8_t>(0xB8 | ecn);
      header[3] = 86;
      header[8] = 64;
      header[9] = 17;
      header[15] = host;
      const std::uint16_t sum = packet::internet_checksum({header, 20});
      header[10] = static_cast<std::uint8_t>(sum >> 8U);
      header[11] = static_cast<std::uint8_t>(sum);
    }
    return made;
  }
  /// A fragment of a UDP datagram. `offset` is in bytes.
  MbufPtr fragment(std::uint64_t number, unsigned offset, bool more_follow, bool is_ipv6) {
    MbufPtr made = packet(number, 9, 0, is_ipv6);
    std::uint8_t* const header = made->data() + 14;
    if (is_ipv6) {
      header[6] = 44;
      header[40] = 17;
      header[42] = static_cast<std::uint8_t>(offset >> 8U);
      header[43] = static_cast<std::uint8_t>(offset | (more_follow ? 1U : 0U));
    } else {
      header[6] = more_follow ? 0x20 : 0;
      header[7] = static_cast<std::uint8_t>(offset / 8);
      header[10] = header[11] = 0;
      const std::uint16_t sum = packet::internet_checksum({header, 20});
      header[10] = static_cast<std::uint8_t>(sum >> 8U);
      header[11] = static_cast<std::uint8_t>(sum);
    }
    // The ports of a first fragment, the payload of another one.
    const unsigned l4 = is_ipv6 ? 48 : 20;
    header[l4 + 1] = static_cast<std::uint8_t>(1 + number);
    header[l4 + 5] = 200;  // the length of the whole datagram
    return made;
  }
  /// The frame as a chain whose first mbuf has `first` bytes.
  MbufPtr cut(MbufPtr whole, std::uint32_t first) {
    const std::uint32_t rest = whole->length() - first;
    if (rest == 0) return whole;
    MbufPtr tail = cache_.allocate();
    static_cast<void>(whole->copy_out(first, {tail->append(rest), rest}));
    EXPECT_TRUE(whole->trim(rest));
    EXPECT_TRUE(whole->chain(tail));
    return whole;
  }
  static FqCodelOptions by_user(FqCodelOptions options = {}) {
    options.classifier = [](std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
      for (std::size_t i = 0; i < frames.size(); ++i) numbers[i] = static_cast<std::uint32_t>(frames[i]->user());
    };
    return options;
  }
  static FqCodelOptions with(void (*change)(FqCodelOptions&)) {
    FqCodelOptions options;
    change(options);
    return options;
  }
};

TEST_F(FqCodel, ASparseFlowIsSentBeforeTheOthers) {
  const Queue queue = must(make_fq_codel(by_user({.quantum = 200})));
  for (unsigned i = 0; i < 8; ++i) put(*queue, frame(i, 0));
  for (unsigned i = 10; i < 18; ++i) put(*queue, frame(i, 1));
  EXPECT_EQ(get(*queue, 6), (FlowNumbers{0, 1, 10, 11, 2, 3}));
  put(*queue, frame(99, 2));
  EXPECT_EQ(get(*queue, 3), (FlowNumbers{99, 12, 13}));
}

TEST_F(FqCodel, SeparatesFlowsByTheirHeaders) {
  const Queue queue = must(make_fq_codel({.quantum = 100, .seed = 1}));
  for (unsigned i = 0; i < 4; ++i) put(*queue, packet(i, 1, 0));
  for (unsigned i = 10; i < 14; ++i) put(*queue, packet(i, 2, 0));
  for (unsigned i = 20; i < 24; ++i) put(*queue, packet(i, 3, 0, true));
  for (unsigned i = 30; i < 34; ++i) put(*queue, packet(i, 4, 0, true));
  EXPECT_EQ(get(*queue, 8), (FlowNumbers{0, 10, 20, 30, 1, 11, 21, 31}));
}

// Only the first fragment has ports and, over IPv6, a protocol. Were they different flows, the second fragment of a
// datagram would overtake the first one.
TEST_F(FqCodel, AllFragmentsOfADatagramAreOneFlow) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const Queue queue = must(make_fq_codel({.quantum = 100, .seed = seed}));
    for (unsigned i = 0; i < 3; ++i) put(*queue, fragment(i, i * 40, i < 2, false));
    for (unsigned i = 10; i < 13; ++i) put(*queue, fragment(i, (i - 10) * 40, i < 12, true));
    EXPECT_EQ(get(*queue, 6), (FlowNumbers{0, 10, 1, 11, 2, 12})) << seed;
  }
}

// A card may write headers to an mbuf of their own, and a program may chain as it likes.
TEST_F(FqCodel, AFlowDoesNotDependOnHowItsFramesAreCut) {
  for (const bool is_ipv6 : {false, true}) {
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      const Queue queue = must(make_fq_codel({.quantum = 100, .seed = seed}));
      std::uint64_t number = 0;
      for (const std::uint32_t first : {100U, 14U, 4U, 28U, 35U, 60U}) {
        put(*queue, cut(packet(number++, 9, 0, is_ipv6), first));
        put(*queue, packet(number++, 9, 0, is_ipv6));
      }
      EXPECT_EQ(count(*queue, "new_flows"), 1U) << is_ipv6 << " " << seed;
    }
  }
}

TEST_F(FqCodel, SpreadsFlowsEvenlyAndDifferentlyForEachSeed) {
  std::set<FlowNumbers> orders;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const Queue queue = must(make_fq_codel({.flows = 256, .quantum = 100, .seed = seed}));
    for (unsigned round = 0; round < 2; ++round) {
      for (unsigned host = 0; host < 128; ++host) put(*queue, packet(host, static_cast<std::uint8_t>(host), 0));
    }
    // Of 128 flows in 256 queues, 100.5 queues are used on average, with a deviation of 4.
    const std::uint64_t used = count(*queue, "new_flows");
    EXPECT_GT(used, 84U);
    EXPECT_LT(used, 117U);
    orders.insert(get(*queue, 256));
  }
  EXPECT_EQ(orders.size(), 4U);
}

TEST_F(FqCodel, DropsFromTheLongestQueueUnderNames) {
  const Queue queue = must(make_fq_codel(by_user({.limit = 10, .drop_batch = 3})));
  for (unsigned i = 0; i < 8; ++i) put(*queue, frame(i, 0));
  for (unsigned i = 10; i < 13; ++i) put(*queue, frame(i, 1));
  EXPECT_EQ(count(*queue, "drop_limit"), 3U);
  EXPECT_EQ(get(*queue), (FlowNumbers{3, 4, 5, 6, 7, 10, 11, 12}));
  put(*queue, frame(20, 1024));
  EXPECT_EQ(count(*queue, "drop_no_class"), 1U);
  expect_all_accounted_for(*queue);
}

TEST_F(FqCodel, LimitsItsMemory) {
  const std::uint64_t frame_memory = Mbuf::kHeaderSize + frame(0)->capacity();
  const Queue queue = must(make_fq_codel(by_user({.memory_limit = 4 * frame_memory})));
  for (unsigned i = 0; i < 5; ++i) put(*queue, frame(i, 0));
  EXPECT_EQ(count(*queue, "drop_memory"), 3U) << "half of its bytes or more";
  EXPECT_EQ(get(*queue), (FlowNumbers{3, 4}));
  expect_all_accounted_for(*queue);
}

/// Twice as many frames arrive as are sent, for two seconds.
template <class Frame>
void overload(QueueDiscipline& queue, Frame make, const std::function<void(Burst<1>&)>& sent) {
  Burst<1> burst;
  for (unsigned i = 0; i < 4000; ++i) {
    const Time now = i * microseconds(500);
    MbufPtr one = make(i);
    static_cast<void>(burst.push(one));
    queue.enqueue(burst, now);
    if (i % 2 == 0 && queue.dequeue(burst, now) != 0) sent(burst);
  }
}

TEST_F(FqCodel, MarksCapableFramesAndCorrectsTheChecksum) {
  for (const bool is_ipv6 : {false, true}) {
    const Queue queue = must(make_fq_codel({.limit = 5000, .mtu = 200, .seed = 1}));
    std::uint64_t marked = 0;
    overload(
        *queue, [&](unsigned i) { return packet(i, 1, 1 + i % 2, is_ipv6); },
        [&](Burst<1>& burst) {
          std::uint8_t* const header = burst[0].data() + 14;
          const unsigned ecn = is_ipv6 ? header[1] >> 4U : header[1] & 3U;
          if (!is_ipv6) {
            EXPECT_EQ(packet::internet_checksum({header, 20}), 0);
            EXPECT_EQ(header[1] & 0xFC, 0xB8);
          }
          if (ecn == 3) ++marked;
          burst.drop(sent_);
        });
    EXPECT_GT(marked, 20U);
    EXPECT_EQ(marked, count(*queue, "ecn_mark"));
    EXPECT_EQ(queue->dropped(), 0U);
  }
}

TEST_F(FqCodel, DropsWhatCannotBeMarked) {
  const Queue queue = must(make_fq_codel({.limit = 5000, .mtu = 200, .seed = 1}));
  std::vector<MbufPtr> clones;
  overload(
      *queue,
      [&](unsigned i) {
        ++put_;
        MbufPtr one = packet(i, 1, i % 2 == 0 ? 0 : 1);
        if (i % 2 != 0) clones.push_back(one->clone(cache_));  // nobody may write shared bytes
        return one;
      },
      [&](Burst<1>& burst) {
        EXPECT_NE(burst[0].data()[15] & 3, 3);
        burst.drop(sent_);
      });
  EXPECT_GT(count(*queue, "drop_codel"), 20U);
  EXPECT_EQ(count(*queue, "ecn_mark"), 0U);
  expect_all_accounted_for(*queue);
}

// The application sends its template many times; a mark would change all later frames.
TEST_F(FqCodel, NeverWritesTheApplicationsMemory) {
  DmaMemory memory = must(context_.allocate({.size = 4096, .purpose = "template"}));
  const std::span<std::uint8_t> bytes(reinterpret_cast<std::uint8_t*>(memory.segments()[0].address), 100);
  const MbufPtr model = packet(0, 1, 2);
  std::copy_n(model->data(), bytes.size(), bytes.data());
  const std::vector<std::uint8_t> before(bytes.begin(), bytes.end());
  const auto external = [&](bool is_clone) {
    MbufPtr one = cache_.allocate();
    EXPECT_TRUE(one->attach_external(
        memory, 0, bytes.size(), [](void*, std::uint8_t*) noexcept {}, nullptr));
    return is_clone ? one->clone(cache_) : std::move(one);
  };
  for (const bool is_clone : {false, true}) {
    const Queue late = must(make_fq_codel({.ce_threshold = microseconds(1), .seed = 1}));
    put(*late, external(is_clone), seconds(1));
    EXPECT_EQ(get(*late, 1, seconds(2)).size(), 1U) << "it leaves as it is";
    EXPECT_EQ(count(*late, "ce_mark"), 0U);
    const Queue queue = must(make_fq_codel({.limit = 5000, .mtu = 200, .seed = 1}));
    overload(
        *queue,
        [&](unsigned) {
          ++put_;
          return external(is_clone);
        },
        [&](Burst<1>& burst) { burst.drop(sent_); });
    EXPECT_GT(count(*queue, "drop_codel"), 20U);
    EXPECT_EQ(count(*queue, "ecn_mark"), 0U);
    EXPECT_EQ(std::vector<std::uint8_t>(bytes.begin(), bytes.end()), before);
  }
}

// CoDel's units pass their end within 73 minutes: a wait of more than half of that must not look like none.
TEST_F(FqCodel, AFrameThatWaitedForHoursIsLate) {
  for (const Duration wait : {Duration(seconds(2)), Duration(std::chrono::minutes(40)),
                              Duration(std::chrono::minutes(73)), Duration(std::chrono::hours(30))}) {
    const Queue queue = must(make_fq_codel({.ce_threshold = seconds(1), .seed = 1}));
    put(*queue, packet(0, 1, 2), seconds(1));
    get(*queue, 1, seconds(1) + wait);
    EXPECT_EQ(count(*queue, "ce_mark"), 1U) << wait.count();
  }
}

TEST_F(FqCodel, RejectsWhatMakesNoSense) {
  expect_rejected(make_fq_codel({.flows = 0}), "0 flows");
  expect_rejected(make_fq_codel({.flows = 65537}), "65537 flows");
  expect_rejected(make_fq_codel({.limit = 0}), "limit of 0");
  expect_rejected(make_fq_codel({.memory_limit = 0}), "0 bytes of memory");
  expect_rejected(make_fq_codel({.drop_batch = 0}), "0 drops");
  expect_rejected(make_fq_codel({.quantum = 0}), "quantum");
  expect_rejected(make_fq_codel({.quantum = (1U << 20U) + 1}), "quantum");
  expect_rejected(make_fq_codel(with([](auto& options) { options.target = Duration{}; })), "target of 0");
  expect_rejected(make_fq_codel(with([](auto& options) { options.target = options.interval; })), "interval");
  expect_rejected(make_fq_codel(with([](auto& options) { options.interval = seconds(61); })), "interval");
  expect_rejected(make_fq_codel(with([](auto& options) { options.ce_threshold = Duration(-1); })), "ce_threshold");
}

TEST_F(FqCodel, DropsEmptyFramesBeyondTheLimit) {
  const Queue queue = must(make_fq_codel(by_user({.limit = 1})));
  for (std::uint64_t i = 0; i < 2; ++i) {
    MbufPtr empty = cache_.allocate();
    empty->set_user(5);
    put(*queue, std::move(empty));
  }
  EXPECT_EQ(queue->backlog().frames, 1U);
  EXPECT_EQ(queue->dropped(), 1U);
}

}  // namespace
}  // namespace pollux::test
