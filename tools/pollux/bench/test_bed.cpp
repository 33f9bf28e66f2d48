// SPDX-License-Identifier: BSD-3-Clause
#include "bench/test_bed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace pollux::tool::bench {
namespace {

constexpr std::uint32_t kRing = 512;
/// Mbufs for the rings and caches of up to four ports, and frames of several mbufs.
constexpr std::uint32_t kMbufs = 8192;
/// The bytes of a frame that an MTU does not count: the Ethernet header and the frame check sequence.
constexpr std::uint32_t kOverhead = 18;
constexpr std::uint64_t kBitsPerMegabit = 1'000'000;

void choose(const PortInfo& info, const Mempool& pool, const MempoolCache& cache, std::uint32_t max_size,
            Settings& settings) {
  const std::uint32_t ring = nearest_ring(kRing, info.limits);
  settings.rx = {{.pool = pool, .cache = cache, .ring = ring}};
  settings.tx = {{.cache = cache, .ring = ring}};
  settings.mtu = std::max(1500U, max_size - kOverhead);
  settings.promiscuous = info.supports.test(Setting::promiscuous);
}

}  // namespace

Result<std::unique_ptr<TestBed>> TestBed::open(const TestBedOptions& options) {
  std::unique_ptr<TestBed> bed(new TestBed);
  if (options.ports.virtual_time) bed->manual_ = std::make_shared<ManualClock>();
  bed->context_.emplace(ContextOptions{
      .clock = bed->manual_, .log = options.log, .huge_pages = bed->manual_ ? HugePages::never : HugePages::prefer});
  if (auto opened = bed->open_ports(options); !opened) return pass_on(std::move(opened));
  if (auto started = bed->start(options); !started) return pass_on(std::move(started));
  if (auto up = bed->wait_for_links(options); !up) return pass_on(std::move(up));
  return bed;
}

// Ports first, so that memory then gets addresses that every card can access.
Result<void> TestBed::open_ports(const TestBedOptions& options) {
  for (const std::string& uri : options.ports.uris) {
    if (!manual_) {
      auto port = open_unconfigured(*context_, uri);
      if (!port) return pass_on(std::move(port));
      ports_.push_back(*std::move(port));
      continue;
    }
    auto card = open_device(*context_, uri);
    if (!card) return pass_on(std::move(card));
    cards_.push_back(card->get());
    auto port = open_unconfigured(*context_, *std::move(card));
    if (!port) return pass_on(std::move(port));
    ports_.push_back(*std::move(port));
  }
  return {};
}

Result<void> TestBed::start(const TestBedOptions& options) {
  const std::uint32_t waiting = options.device.forwarder ? options.device.forwarder->queue : 0;
  auto pool = Mempool::create(*context_, {.count = kMbufs + waiting, .name = "bench"});
  if (!pool) return pass_on(std::move(pool));
  cache_.emplace(pool_.emplace(*std::move(pool)));
  for (Port& port : ports_) {
    const PortInfo& info = port.info();
    auto done = port.change([&](Settings& own) { choose(info, *pool_, *cache_, options.max_size, own); });
    if (done) done = port.start();
    if (!done) return done;
  }
  if (options.device.forwarder) forwarder_.emplace(ports_[1].rx(0), ports_[2].tx(0), *options.device.forwarder);
  return {};
}

Result<void> TestBed::wait_for_links(const TestBedOptions& options) {
  std::uint64_t slowest = UINT64_MAX;
  for (Port& port : ports_) {
    const auto link = port.wait_for_link(options.link_limit);
    if (!link) return tl::unexpected(link.error());
    slowest = std::min(slowest, link->speed * kBitsPerMegabit);
  }
  line_rate_ = options.line_rate.value_or(std::min(slowest, options.ports.wire_rate.value_or(slowest)));
  return {};
}

Time TestBed::next_work() const {
  Time next = Time::max();
  for (const Device* const card : cards_) next = std::min(next, card->next_wakeup().at);
  return next;
}

// The clock goes no further than the next event of a card, so that each happens at its own time.
void TestBed::wait(Time until) {
  if (!manual_) return;
  const Time time = manual_->now();
  if (until <= time) return;
  const Time work = next_work();
  const Duration step = work > time ? std::min(until, work) - time : std::min(until - time, ManualClock::kStep);
  manual_->advance(step);
}

Result<void> TestBed::service(Time now) {
  if (now < service_due_) return {};
  auto next = context_->control().run_due();
  if (!next) return pass_on(std::move(next));
  service_due_ = *next;
  return {};
}

}  // namespace pollux::tool::bench
