// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/options.hpp"
#include "common/unfinished_checksums.hpp"
#include "pollux/pollux.hpp"

namespace pollux::tools {

/// The started ports of a command line, with their Context, pool and cache.
class ProgramSetup {
 public:
  /// Opens and starts all ports on one pool. Errors are those of the library.
  [[nodiscard]] static Result<std::unique_ptr<ProgramSetup>> open(const std::vector<std::string>& uris,
                                                                  const PortOptions& options, LogCallback log);

  /// Returns when every link is up, or `give_up()` holds, or with error timeout after `limit`.
  [[nodiscard]] Result<void> wait_for_links(Duration limit, const std::function<bool()>& give_up);

  [[nodiscard]] Context& context() noexcept { return context_; }
  [[nodiscard]] Clock& clock() const noexcept { return context_.clock(); }
  [[nodiscard]] Mempool& pool() noexcept { return *pool_; }
  /// The cache of a thread, for all queues of all ports that it polls (PortOptions::cores).
  [[nodiscard]] MempoolCache& cache(std::size_t worker = 0) noexcept { return caches_[worker]; }
  [[nodiscard]] std::vector<Port>& ports() noexcept { return ports_; }
  /// With PortOptions::fused, one path per port: it forwards to the other port, or back to the same if there is only
  /// one.
  [[nodiscard]] std::vector<std::unique_ptr<ForwardPath>>& forward_paths() noexcept { return forward_paths_; }

  /// Call often: runs the Context's Control when it is due. Errors: device_removed, device_fault.
  [[nodiscard]] Result<void> service(Duration now);
  /// Computes the program's account for telemetry, on the thread that calls `service`; an empty function ends that.
  void set_account(std::function<std::optional<TelemetryAccount>()> account) { account_ = std::move(account); }
  /// The program's drop counters, for captures through telemetry; an empty function ends that.
  void set_drops(std::function<std::vector<const DropCounter*>()> drops) { drops_ = std::move(drops); }
  /// Whether another program has the ports (PortOptions::handover).
  [[nodiscard]] bool is_handed_over() const noexcept { return handover_ && handover_->is_done(); }
  /// Describes each link that changed since the last call, such as "vfio:0000:01:00.0: link down".
  [[nodiscard]] std::vector<std::string> link_changes();

 private:
  void choose(const PortOptions& options, const PortInfo& info, Settings& settings) const;
  [[nodiscard]] Result<void> fuse();
  [[nodiscard]] Result<void> start_ports(const std::string& handover, std::optional<Takeover> takeover);
  [[nodiscard]] Result<void> start_telemetry();
  [[nodiscard]] Result<void> watch_checksums();
  explicit ProgramSetup(ContextOptions options) : context_(std::move(options)) {}

  Context context_;
  std::optional<Mempool> pool_;
  std::deque<MempoolCache> caches_;            // of each thread
  std::deque<UnfinishedChecksums> checksums_;  // before the ports, which may call them until they are closed
  std::vector<Port> ports_;
  std::vector<std::unique_ptr<ForwardPath>> forward_paths_;
  std::vector<Link> links_;
  Time service_due_{0};
  std::function<std::optional<TelemetryAccount>()> account_;
  std::function<std::vector<const DropCounter*>()> drops_;
  std::optional<Telemetry> telemetry_;
  std::optional<Handover> handover_;
};

}  // namespace pollux::tools
