// SPDX-License-Identifier: BSD-3-Clause
// The method that captures a port's frames.
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <string>
#include <utility>

#include "observe/capture/capture_access.hpp"
#include "observe/methods.hpp"

namespace pollux::observe {
namespace {

constexpr std::uint64_t kMaxSnaplen = 262144;
constexpr std::uint64_t kMaxQueue = 0xFFFF;
/// Bytes of all rings of a capture, which a port with many queues shares out.
constexpr std::size_t kAllRings = std::size_t{64} << 20;

/// For each queue as much as the default if there is room, but always enough for two frames.
std::size_t ring_bytes(const EffectiveConfig& config, const CaptureOptions& options) {
  const std::size_t rings = options.queue ? 2 : config.rx.size() + config.tx.size();
  const std::size_t share = std::bit_floor(kAllRings / std::max<std::size_t>(rings, 1));
  return std::max(std::min(share, CaptureOptions{}.ring_bytes),
                  std::bit_ceil(2 * (std::size_t{options.snaplen} + 128)));
}

Result<CaptureOptions> read_options(const Params& params) {
  CaptureOptions options;
  if (params.has("queue")) {
    const auto queue = params.number("queue", 0, kMaxQueue);
    if (!queue) return tl::unexpected<Error>(queue.error());
    options.queue = static_cast<std::uint16_t>(*queue);
  }
  if (params.has("filter")) {
    auto filter = params.text("filter");
    if (!filter) return tl::unexpected<Error>(filter.error());
    options.filter = *std::move(filter);
  }
  const auto snaplen = params.number_or("snaplen", kMaxSnaplen, 1, kMaxSnaplen);
  if (!snaplen) return tl::unexpected<Error>(snaplen.error());
  options.snaplen = static_cast<std::uint32_t>(*snaplen);
  const auto receive = params.flag_or("receive", true);
  if (!receive) return tl::unexpected<Error>(receive.error());
  options.receive = *receive;
  const auto transmit = params.flag_or("transmit", true);
  if (!transmit) return tl::unexpected<Error>(transmit.error());
  options.transmit = *transmit;
  return options;
}

// Which queue had received a dropped frame is not known, so a capture of one queue shows no drops unless it is asked
// to.
Result<Json> start_capture(Server& server, NamedPort& named, const Params& params) {
  auto options = read_options(params);
  if (!options) return pass_on(std::move(options));
  const auto drops = params.flag_or("drops", !options->queue);
  if (!drops) return tl::unexpected<Error>(drops.error());
  if (auto good = FrameFilter::check(options->filter, named.name); !good) return pass_on(std::move(good));
  server.capture = CaptureRequest{named.name, named.port->info().name, *std::move(options), *drops};
  return Json(nullptr);
}

constexpr std::array kCaptureMethods{MethodEntry{.name = "capture.start", .captures = true, .of_port = &start_capture}};

}  // namespace

Result<std::unique_ptr<Capture>> begin_capture(Server& server, CaptureRequest request, FrameFilter filter) {
  auto named = server.ports.find(request.port);
  if (!named) return pass_on(std::move(named));
  CaptureOptions& options = request.options;
  if (request.drops && server.options.drops) options.drops = server.options.drops();
  options.ring_bytes = ring_bytes(named->port->config(), options);
  options.name = named->name;
  options.application = server.options.program;
  return CaptureAccess::start(*named->port, options, std::move(filter));
}

std::span<const MethodEntry> capture_methods() noexcept { return kCaptureMethods; }

}  // namespace pollux::observe
