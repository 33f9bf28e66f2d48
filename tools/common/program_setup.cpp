// SPDX-License-Identifier: BSD-3-Clause
#include "common/program_setup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace pollux::tools {
namespace {

Result<void> set_loopback(Port& port, LoopbackMode mode) {
  return port.change([=](Settings& settings) { settings.loopback = mode; });
}

}  // namespace

Result<std::unique_ptr<ProgramSetup>> ProgramSetup::open(const std::vector<std::string>& uris,
                                                         const PortOptions& options, LogCallback log) {
  ContextOptions context_options;
  context_options.log = std::move(log);
  std::unique_ptr<ProgramSetup> setup(new ProgramSetup(std::move(context_options)));
  std::optional<Takeover> takeover;
  if (!options.handover.empty()) {
    auto begun = Takeover::begin(setup->context_, options.handover);
    if (!begun) return pass_on(std::move(begun));
    takeover = *std::move(begun);
  }
  // Ports first, so that memory then gets addresses that every card can access, such as physical ones without an IOMMU.
  for (const std::string& uri : uris) {
    auto port = pollux::open_unconfigured(setup->context_, uri);
    if (!port) return pass_on(std::move(port));
    setup->ports_.push_back(*std::move(port));
  }
  auto pool = Mempool::create(setup->context_, {.count = options.mbufs});
  if (!pool) return pass_on(std::move(pool));
  setup->pool_ = *std::move(pool);
  for (std::size_t i = 0; i < worker_count(options); ++i) setup->caches_.emplace_back(*setup->pool_);
  for (Port& port : setup->ports_) {
    const PortInfo& info = port.info();
    auto set = port.change([&](Settings& settings) { setup->choose(options, info, settings); });
    if (!set) return pass_on(std::move(set));
    if (auto looped = set_loopback(port, options.loopback); !looped) return pass_on(std::move(looped));
  }
  if (options.fused) {
    if (auto fused = setup->fuse(); !fused) return pass_on(std::move(fused));
  }
  if (auto started = setup->start_ports(options.handover, std::move(takeover)); !started)
    return pass_on(std::move(started));
  if (auto watched = setup->watch_checksums(); !watched) return pass_on(std::move(watched));
  if (options.telemetry) {
    if (auto started = setup->start_telemetry(); !started) return pass_on(std::move(started));
  }
  return setup;
}

Result<void> ProgramSetup::start_ports(const std::string& handover, std::optional<Takeover> takeover) {
  for (Port& port : ports_) {
    if (auto started = port.start(); !started) return started;
  }
  if (takeover) {
    if (auto finished = takeover->finish(); !finished) return finished;
  }
  if (handover.empty()) return {};
  auto offered = Handover::offer(context_, handover);
  if (!offered) return pass_on(std::move(offered));
  handover_ = *std::move(offered);
  return {};
}

// Only the kernel leaves checksums to a port that does not say which: xdp:.
Result<void> ProgramSetup::watch_checksums() {
  if (!forward_paths_.empty()) return {};  // their frames are in no burst
  for (Port& port : ports_) {
    if (!port.info().name.starts_with("xdp:")) continue;
    if (auto attached = checksums_.emplace_back(port).attach(); !attached) return attached;
  }
  return {};
}

Result<void> ProgramSetup::start_telemetry() {
  TelemetryOptions options;
  options.account = [this] { return account_ ? account_() : std::nullopt; };
  options.drops = [this] { return drops_ ? drops_() : std::vector<const DropCounter*>(); };
  auto telemetry = Telemetry::create(context_, std::move(options));
  if (!telemetry) return pass_on(std::move(telemetry));
  telemetry_ = *std::move(telemetry);
  context_.log(LogLevel::info, "telemetry on " + telemetry_->socket());
  return {};
}

// Each queue uses the cache of the thread that polls it.
void ProgramSetup::choose(const PortOptions& options, const PortInfo& info, Settings& settings) const {
  settings.rx.clear();
  settings.tx.clear();
  for (std::uint16_t queue = 0; queue < options.queues; ++queue) {
    const MempoolCache& cache = caches_[queue % caches_.size()];
    settings.rx.push_back({.pool = *pool_, .cache = cache, .ring = options.rx_ring});
    settings.tx.push_back({.cache = cache, .ring = options.tx_ring});
  }
  // A port that cannot have a forward path says so itself.
  if (options.fused) settings.tx.resize(std::min<std::size_t>(2, info.limits.max_tx_queues), settings.tx[0]);
  settings.mtu = options.mtu;
  settings.promiscuous = options.promiscuous && info.supports.test(Setting::promiscuous);
  settings.burst_mode = options.burst_mode;
}

Result<void> ProgramSetup::fuse() {
  for (std::size_t in = 0; in < ports_.size(); ++in) {
    auto path = ports_[in].forward_path(0, ports_[ports_.size() - 1 - in], 0);
    if (!path && path.error().code == ErrorCode::not_supported) path.error().hint = "leave out --fused";
    if (!path) return pass_on(std::move(path));
    forward_paths_.push_back(*std::move(path));
  }
  return {};
}

Result<void> ProgramSetup::wait_for_links(Duration limit, const std::function<bool()>& give_up) {
  std::vector<std::string> down;
  const auto all_up = [&] {
    down.clear();
    for (Port& port : ports_) {
      if (!port.link().up) down.push_back(port.info().name);
    }
    return down.empty();
  };
  const auto waited = wait_until(
      clock(), "link up", limit, [&] { return all_up() || give_up(); }, std::chrono::milliseconds(1));
  links_.clear();
  for (Port& port : ports_) links_.push_back(port.link());
  if (waited) return {};
  return fail(ErrorCode::timeout, fmt::format("no link within {} s on {}", to_seconds(limit), fmt::join(down, ", ")),
              std::ranges::any_of(down, [](const std::string& name) { return name.starts_with("ring:"); })
                  ? "open the other end, too: that of ring:NAME:0 is ring:NAME:1"
                  : "check the cable and the link partner, or raise --wait-link if it is starting");
}

Result<void> ProgramSetup::service(Duration now) {
  if (now < service_due_) return {};
  auto next = context_.control().run_due();
  if (!next) return pass_on(std::move(next));
  service_due_ = *next;
  for (UnfinishedChecksums& checksums : checksums_) {
    if (!checksums.found()) continue;
    context_.log(LogLevel::warning,
                 fmt::format("{} receives frames whose TCP or UDP checksum its sender has left to a card: hosts drop "
                             "them. On the other end of the cable, run 'ethtool -K INTERFACE tx off'",
                             checksums.port().info().name));
  }
  return {};
}

std::vector<std::string> ProgramSetup::link_changes() {
  std::vector<std::string> changes;
  links_.resize(ports_.size());
  for (std::size_t i = 0; i < ports_.size(); ++i) {
    const Link link = ports_[i].link();
    if (link != links_[i]) changes.push_back(fmt::format("{}: link {}", ports_[i].info().name, to_string(link)));
    links_[i] = link;
  }
  return changes;
}

}  // namespace pollux::tools
