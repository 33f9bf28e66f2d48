// SPDX-License-Identifier: BSD-3-Clause
#include "pktgen/generator.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pollux::tools {
namespace {

/// Polls in one run of a thread's task.
constexpr int kPollsPerRound = 64;

/// The part of `whole` that is one queue's, of `queues`.
std::uint64_t part_of(std::uint64_t whole, std::uint32_t queue, std::uint32_t queues) {
  return whole / queues + (queue < whole % queues ? 1 : 0);
}

FrameSupply::Addresses addresses_of(const PktgenOptions& options, const Port& sending, const Port& receiving) {
  const bool arrives = &sending != &receiving || options.port.loopback != LoopbackMode::none;
  return {.destination = arrives ? receiving.mac() : MacAddress{0x02, 0, 0, 0, 0, 0}, .source = sending.mac()};
}

template <class Parts, class Count>
std::uint64_t sum(const Parts& parts, Count count) noexcept {
  std::uint64_t sum = 0;
  for (const auto& part : parts) sum += count(part);
  return sum;
}

}  // namespace

Result<std::unique_ptr<Generator>> Generator::create(ProgramSetup& setup, const PktgenOptions& options,
                                                     const FrameSupply& supply) {
  std::unique_ptr<Generator> generator(new Generator);
  if (options.send) {
    if (auto added = generator->add_senders(setup, options, supply); !added) return pass_on(std::move(added));
  }
  if (options.receive) generator->add_receivers(setup, options);
  if (auto added = generator->add_threads(setup, options); !added) return pass_on(std::move(added));
  return generator;
}

Result<void> Generator::add_senders(ProgramSetup& setup, const PktgenOptions& options, const FrameSupply& supply) {
  Port& port = setup.ports().front();
  const std::uint32_t queues = options.port.queues;
  if (options.threads == 2) {
    if (auto used = port.tx(0).use_cache(sender_cache_.emplace(setup.pool())); !used) return used;
  }
  for (std::uint32_t queue = 0; queue < queues; ++queue) {
    MempoolCache& cache = sender_cache_ ? *sender_cache_ : setup.cache(queue % worker_count(options.port));
    auto frames = supply.source(addresses_of(options, port, setup.ports().back()), queue);
    if (!frames) return pass_on(std::move(frames));
    const auto pace = pace_of(options, port.link(), supply.largest(), queue);
    if (!pace) return tl::unexpected(pace.error());
    const std::uint64_t count = options.count ? part_of(*options.count, queue, queues) : UINT64_MAX;
    senders_.emplace_back(port.tx(static_cast<std::uint16_t>(queue)), cache, setup.clock(), *std::move(frames),
                          Sender::Options{options.port.burst, count, *pace});
  }
  return {};
}

void Generator::add_receivers(ProgramSetup& setup, const PktgenOptions& options) {
  // With several queues RSS decides how many frames each gets, so only their sum is limited (Finish).
  const bool limited = !options.send && options.port.queues == 1;
  const std::uint64_t limit = limited ? options.count.value_or(UINT64_MAX) : UINT64_MAX;
  for (std::uint16_t queue = 0; queue < options.port.queues; ++queue) {
    receivers_.emplace_back(setup.ports().back().rx(queue), setup.cache(queue % worker_count(options.port)),
                            Receiver::Options{options.port.burst, options.check, limit});
  }
}

Result<void> Generator::add_threads(ProgramSetup& setup, const PktgenOptions& options) {
  std::vector<RunLoopThreadOptions> threads;
  const auto thread = [&](std::string name, std::optional<unsigned> core) {
    threads.push_back({.loop = {.name = std::move(name), .poller = {.stall_limit = Time::max()}}, .core = core});
    return &shares_.emplace_back();
  };
  for (const unsigned core : options.port.cores) thread(fmt::format("pktgen core {}", core), core);
  Share* const sending = options.threads == 2 ? thread("pktgen sender", std::nullopt) : nullptr;
  for (std::size_t queue = 0; queue < options.port.queues; ++queue) {
    Share& share = options.port.cores.empty() ? own_ : shares_[queue % options.port.cores.size()];
    if (options.send) (sending != nullptr ? *sending : share).senders.push_back(&senders_[queue]);
    if (options.receive) share.receivers.push_back(&receivers_[queue]);
  }
  if (threads.empty()) return {};
  auto made = RunLoopThreads::create(setup.context(), std::move(threads));
  if (!made) return pass_on(std::move(made));
  threads_ = *std::move(made);
  for (std::size_t index = 0; index < shares_.size(); ++index) {
    threads_->loop(index).poller().add_task("generating", [this, &share = shares_[index]] {
      for (int i = 0; i < kPollsPerRound; ++i) poll(share, true);
      return true;
    });
  }
  return {};
}

void Generator::poll(const Share& share, bool may_send) const noexcept {
  if (may_send && sending_.load(std::memory_order_relaxed)) {
    for (Sender* const sender : share.senders) sender->poll();
  }
  for (Receiver* const receiver : share.receivers) receiver->poll();
}

bool Generator::poll(bool may_send) noexcept {
  if (own_.senders.empty() && own_.receivers.empty()) return false;
  poll(own_, may_send);
  return true;
}

Result<void> Generator::start() { return threads_ ? threads_->start() : Result<void>(); }

Result<void> Generator::stop() {
  stop_sending();
  if (threads_) {
    if (auto stopped = threads_->stop(); !stopped) return stopped;
  }
  for (Sender& sender : senders_) sender.finish();
  return {};
}

bool Generator::all_sent() const noexcept {
  return !sending_.load(std::memory_order_relaxed) || std::ranges::all_of(senders_, &Sender::done);
}

std::uint64_t Generator::taken() const noexcept {
  return sum(senders_, [](const Sender& one) { return one.taken().frames; });
}
std::uint64_t Generator::received() const noexcept {
  return sum(receivers_, [](const Receiver& one) { return one.received().frames; });
}
std::uint64_t Generator::ours() const noexcept {
  return sum(receivers_, [](const Receiver& one) { return one.ours(); });
}
std::uint64_t Generator::good() const noexcept {
  return sum(receivers_, [](const Receiver& one) { return one.good(); });
}

std::optional<Account> Generator::account(ProgramSetup& setup) const {
  if (threads_) return std::nullopt;
  Account account = take_account(setup.ports(), setup.pool(), drops());
  account.made = sum(senders_, [](const Sender& one) { return one.built() - one.pending(); });
  account.kept = received();
  return account;
}

std::vector<const DropCounter*> Generator::drops() const {
  std::vector<const DropCounter*> drops;
  for (const Sender& sender : senders_) drops.push_back(&sender.unsent());
  return drops;
}

}  // namespace pollux::tools
