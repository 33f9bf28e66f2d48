// SPDX-License-Identifier: BSD-3-Clause
#include "support/fixture.hpp"
#include "support/settings_edits.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace pollux::test {
namespace {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

Frame counting_frame(std::size_t bytes, unsigned seed) {
  Frame frame(bytes);
  for (std::size_t i = 0; i < bytes; ++i) frame[i] = static_cast<std::byte>((i + seed) & 0xFF);
  std::fill_n(frame.begin(), std::min<std::size_t>(6, bytes), std::byte{0xFF});
  if (bytes >= 14) {
    frame[12] = std::byte{0x88};  // 0x88B5: the EtherType for local experiments
    frame[13] = std::byte{0xB5};
  }
  return frame;
}

Frame content(const Mbuf& mbuf) {
  Frame bytes(mbuf.packet_length());
  const std::size_t copied = mbuf.copy_out(0, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
  bytes.resize(copied);
  return bytes;
}

bool TestCard::write_back(std::uint32_t queue, const hw::intel::rx::WriteBack& what) {
  return with([&](models::igb::Card& card) {
    return card.receiver().queue(queue).write_back(hw::intel::rx::written_back(what));
  });
}

void TestCard::set_removed(bool removed) {
  with([removed](models::igb::Card& card) { card.set_removed(removed); });
}

CardFixture::CardFixture(const CardFixtureOptions& options)
    : context({.clock = clock,
               .log = [this](LogLevel, std::string_view line) { log.emplace_back(line); },
               .on_misuse = [this](const Misuse& what) { misuse.push_back(what.what); },
               .huge_pages = HugePages::never,
               .arena_size = std::size_t{1} << 30}),
      pool(must(Mempool::create(context, options.pool))),
      cache(pool),
      config(options.port),
      wire(sim::Wire::create(
          *clock, std::make_unique<models::igb::Card>(options.card),
          [this](std::span<const std::byte> frame) { sent.emplace_back(frame.begin(), frame.end()); })),
      card(*wire, 0),
      port(open_port()) {
  use_pool(config, pool, cache);
  if (!options.start) return;
  must(configure_port(port, config));
  must(port.start());
  must(port.wait_for_link(std::chrono::seconds(5)));
}

CardFixture::~CardFixture() = default;

Port CardFixture::open_port() {
  std::unique_ptr<Device> device = must(sim::SimDevice::create(context, "sim:lab", wire, 0));
  return must(open_unconfigured(context, std::move(device)));
}

Burst<32> CardFixture::rx_burst() {
  Burst<32> burst;
  port.rx(0).rx_burst(burst);
  return burst;
}

std::vector<Frame> CardFixture::receive_all() {
  std::vector<Frame> frames;
  DropCounter received("received");
  for (Burst<32> burst = rx_burst(); !burst.empty(); burst = rx_burst()) {
    for (Mbuf& mbuf : burst) frames.push_back(content(mbuf));
    burst.drop(received, cache);
  }
  return frames;
}

MbufPtr CardFixture::make_mbuf(const Frame& frame, std::size_t segment_bytes) {
  MbufPtr whole;
  std::span<const std::byte> rest(frame);
  do {
    const std::size_t count = std::min(rest.size(), segment_bytes);
    MbufPtr segment = cache.allocate();
    std::uint8_t* const data = segment == nullptr ? nullptr : segment->append(static_cast<std::uint32_t>(count));
    if (data == nullptr) return {};
    std::memcpy(data, rest.data(), count);
    rest = rest.subspan(count);
    if (whole == nullptr) {
      whole = std::move(segment);
    } else if (!whole->chain(segment)) {
      return {};
    }
  } while (!rest.empty());
  return whole;
}

bool CardFixture::transmit(const Frame& frame, std::size_t segment_bytes) {
  MbufPtr mbuf = make_mbuf(frame, segment_bytes);
  Burst<1> burst;
  if (!burst.push(mbuf)) return false;
  const bool taken = port.tx(0).tx_burst(burst) == 1;
  DropCounter refused("refused");
  burst.drop(refused, cache);
  return taken;
}

namespace {

std::uint64_t value_of_counter(const std::vector<Counter>& counters, std::string_view name) {
  for (const Counter& counter : counters) {
    if (counter.name == name) return counter.value;
  }
  ADD_FAILURE() << "the port has no counter " << name;
  return 0;
}

}  // namespace

std::uint64_t CardFixture::drops(std::string_view name) { return value_of_counter(port.stats().drops, name); }

std::uint64_t CardFixture::counter(std::string_view name) { return value_of_counter(port.extended_stats(), name); }

testing::AssertionResult CardFixture::every_mbuf_accounted_for(std::uint32_t held) {
  std::uint32_t expected = held;
  if (port.state() == PortState::started) {
    for (const RxQueueConfig& queue : config.rx) expected += queue.ring;
    for (std::uint16_t queue = 0; queue < config.tx.size(); ++queue) expected += port.tx(queue).in_flight();
  }
  const std::uint32_t in_use = pool.stats().in_use();
  if (in_use == expected) return testing::AssertionSuccess();
  return testing::AssertionFailure() << in_use << " mbufs are allocated from the pool and " << expected
                                     << " are accounted for";
}

}  // namespace pollux::test
