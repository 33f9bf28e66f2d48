// SPDX-License-Identifier: BSD-3-Clause
// Runs a queueing discipline on a trace from standard input, and prints each decision. The programs in kernel/ do the
// same with Linux's. "queueing_tool fq_codel|tbf|dql". The first line of a trace has the options, in the order in which
// they are read below. Each further line is an event:
//
//     E TIME ID FLOW LENGTH ECN   a frame arrives; times are in nanoseconds
//     D TIME                      a frame is sent
//     Q MILLISECONDS BYTES        dql: bytes are put into the ring
//     C MILLISECONDS BYTES        dql: bytes have been sent
//
// For each event a line is printed: what was sent, what waits, and the frames that were dropped, as x and their number.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "interop/need.hpp"
#include "pollux/mem/dma_memory.hpp"
#include "pollux/mem/mempool.hpp"
#include "pollux/net/packet/sums.hpp"
#include "pollux/runtime/queueing/queue_disciplines.hpp"
#include "pollux/runtime/queueing/tx_scheduler.hpp"

namespace {

using namespace pollux;

constexpr std::size_t kFrameRoom = 2048;
constexpr std::size_t kFrames = 16384;
constexpr std::size_t kIpHeader = 14;
constexpr std::uint32_t kHeaders = 34;

using test::need;

/// Frames with their headers in an mbuf, where they may be marked, and the rest outside of mbufs, so that their end is
/// noticed.
class Frames {
 public:
  Frames() : freed_(kFrames) {
    for (std::size_t place = 0; place < kFrames; ++place) places_.push_back(place);
  }

  MbufPtr make(std::uint32_t id, std::uint32_t flow, std::uint32_t length, std::uint8_t ecn) {
    const std::size_t place = places_.at(places_.size() - 1);
    places_.pop_back();
    MbufPtr frame = cache_.allocate();
    MbufPtr rest = cache_.allocate();
    freed_[place] = {this, id};
    if (rest == nullptr ||
        !rest->attach_external(memory_, place * kFrameRoom, length - kHeaders, &free, &freed_[place])) {
      std::cerr << "no frame\n";
      std::exit(2);
    }
    std::uint8_t* const bytes = frame->append(kHeaders);
    std::memset(bytes, 0, kHeaders);
    bytes[12] = 0x08;  // IPv4
    std::uint8_t* const header = bytes + kIpHeader;
    header[0] = 0x45;
    header[1] = ecn;
    header[2] = static_cast<std::uint8_t>((length - kIpHeader) >> 8);
    header[3] = static_cast<std::uint8_t>(length - kIpHeader);
    header[8] = 64;
    header[9] = 17;
    const std::uint16_t sum = packet::internet_checksum({header, 20});
    header[10] = static_cast<std::uint8_t>(sum >> 8);
    header[11] = static_cast<std::uint8_t>(sum);
    frame->set_user(flow);
    if (!frame->chain(rest)) std::exit(2);
    return frame;
  }
  [[nodiscard]] static std::uint32_t id_of(const Mbuf& frame, const Frames& all) {
    return all.freed_[static_cast<std::size_t>(frame.next()->data() - all.bytes_) / kFrameRoom].id;
  }
  /// The frames that were freed since the last call.
  [[nodiscard]] std::string drops() {
    std::ranges::sort(dropped_);
    std::string text;
    for (const std::uint32_t id : dropped_) text += " x" + std::to_string(id);
    dropped_.clear();
    return text;
  }

 private:
  struct Freed {
    Frames* frames;
    std::uint32_t id;
  };
  static void free(void* opaque, std::uint8_t*) noexcept {
    const Freed& freed = *static_cast<const Freed*>(opaque);
    freed.frames->dropped_.push_back(freed.id);
    freed.frames->places_.push_back(static_cast<std::size_t>(&freed - freed.frames->freed_.data()));
  }

  Context context_{{.huge_pages = HugePages::never}};
  DmaMemory memory_ = need(context_.allocate({.size = kFrames * kFrameRoom}));
  std::uint8_t* const bytes_ = reinterpret_cast<std::uint8_t*>(memory_.segments().front().address);
  Mempool pool_ = need(Mempool::create(context_, {.count = 2 * kFrames, .data_room = 64, .headroom = 0}));
  MempoolCache cache_{pool_};
  std::vector<Freed> freed_;
  std::vector<std::uint32_t> dropped_;
  std::vector<std::size_t> places_;  // that are free
};

void by_user(std::span<Mbuf* const> frames, std::span<std::uint32_t> numbers) {
  for (std::size_t i = 0; i < frames.size(); ++i) numbers[i] = static_cast<std::uint32_t>(frames[i]->user());
}

std::unique_ptr<QueueDiscipline> read_fq_codel() {
  FqCodelOptions options;
  std::uint64_t target = 0;
  std::uint64_t interval = 0;
  std::int64_t ce = 0;
  std::cin >> options.limit >> options.flows >> options.quantum >> target >> interval >> options.ecn >> ce >>
      options.memory_limit >> options.drop_batch >> options.mtu;
  options.target = std::chrono::microseconds(target);
  options.interval = std::chrono::microseconds(interval);
  if (ce >= 0) options.ce_threshold = std::chrono::microseconds(ce);
  options.classifier = &by_user;
  return need(make_fq_codel(options));
}

std::unique_ptr<QueueDiscipline> read_tbf() {
  TokenBucketOptions options;
  FifoOptions fifo{.frames = std::numeric_limits<std::uint32_t>::max()};
  std::cin >> options.rate >> options.burst >> options.peak_rate >> options.mtu >> options.overhead >> fifo.bytes;
  options.queue = need(make_fifo(fifo));
  return need(make_token_bucket(std::move(options)));
}

void run_discipline(std::unique_ptr<QueueDiscipline> owned, bool is_shaper) {
  Frames frames;
  // Ends before the frames in it.
  const std::unique_ptr<QueueDiscipline> until_end = std::move(owned);
  QueueDiscipline& queue = *until_end;
  Burst<1> burst;
  char what = 0;
  for (Time::rep nanoseconds = 0; std::cin >> what >> nanoseconds;) {
    const Time now(nanoseconds);
    if (what == 'E') {
      std::uint32_t id = 0;
      std::uint32_t flow = 0;
      std::uint32_t length = 0;
      unsigned ecn = 0;
      std::cin >> id >> flow >> length >> ecn;
      MbufPtr frame = frames.make(id, flow, length, static_cast<std::uint8_t>(ecn));
      static_cast<void>(burst.push(frame));
      queue.enqueue(burst, now);
      std::cout << "E " << id;
    } else if (queue.dequeue(burst, now) != 0) {
      MbufPtr frame = burst.pop();
      const std::uint8_t* const header = frame->data() + kIpHeader;
      std::cout << "D " << Frames::id_of(*frame, frames);
      if (!is_shaper) std::cout << " ecn " << (header[1] & 3);
      if (packet::internet_checksum({header, 20}) != 0) std::cout << " with a bad checksum";
      // Its end is no drop.
      const std::string drops = frames.drops();
      frame.reset();
      static_cast<void>(frames.drops());
      std::cout << " waiting " << queue.backlog().frames << ' ' << queue.backlog().bytes << drops << '\n';
      continue;
    } else {
      std::cout << "D -";
      const Time next = queue.next_time(now);
      if (is_shaper) std::cout << " next " << (next == Time::max() ? 0 : next.count());
    }
    std::cout << " waiting " << queue.backlog().frames << ' ' << queue.backlog().bytes << frames.drops() << '\n';
  }
}

int run_dql() {
  DynamicQueueLimitsOptions options;
  std::uint64_t hold = 0;
  std::cin >> options.min_limit >> options.max_limit >> hold;
  options.hold_time = std::chrono::milliseconds(hold);
  DynamicQueueLimits limits = need(DynamicQueueLimits::create(options));
  char what = 0;
  std::uint64_t milliseconds = 0;
  std::uint32_t bytes = 0;
  while (std::cin >> what >> milliseconds >> bytes) {
    if (what == 'Q') {
      limits.queued(bytes);
    } else {
      limits.completed(bytes, std::chrono::milliseconds(milliseconds));
    }
    std::cout << what << " limit " << limits.limit() << " available " << limits.available() << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view what = argc == 2 ? argv[1] : "";
  std::ios::sync_with_stdio(false);
  if (what == "dql") return run_dql();
  if (what != "fq_codel" && what != "tbf") {
    std::cerr << "usage: queueing_tool fq_codel|tbf|dql\n";
    return 2;
  }
  run_discipline(what == "tbf" ? read_tbf() : read_fq_codel(), what == "tbf");
  return 0;
}
