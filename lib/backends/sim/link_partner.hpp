// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"
#include "pollux/base/log.hpp"

namespace pollux::sim {

/// What the user of a wire has to know.
struct WireReport {
  LogLevel level = LogLevel::error;
  std::string text;  ///< names the file, and what to do
};

/// The other end of a wire that has no second card: capture files, a TAP interface or a socket. Never blocks.
/// Thread rule: one thread at a time; the caller holds the wire's lock.
class LinkPartner {
 public:
  LinkPartner() = default;
  LinkPartner(const LinkPartner&) = delete;
  LinkPartner& operator=(const LinkPartner&) = delete;
  virtual ~LinkPartner() = default;

  /// Takes a frame (without FCS) from the card. False if it was dropped.
  [[nodiscard]] virtual bool send(std::span<const std::byte> frame, Duration now) noexcept = 0;
  /// The next frame for the card, if one has arrived by `now`. Valid until the next call.
  [[nodiscard]] virtual std::optional<std::span<const std::byte>> receive(Duration now) noexcept = 0;
  /// When to call `receive` again; Duration::max() for never.
  [[nodiscard]] virtual Duration next() const noexcept = 0;
  /// Readable while a frame has arrived; -1 if nothing announces frames. Constant.
  [[nodiscard]] virtual int descriptor() const noexcept { return -1; }
  /// Frames for the card that cannot be passed on, so far.
  [[nodiscard]] virtual std::uint64_t left_out() const noexcept { return 0; }
  /// What has happened and was not reported yet. `closing`: the card is being closed.
  [[nodiscard]] virtual std::optional<WireReport> take_report(bool /*closing*/) { return std::nullopt; }
};

/// Selects the link partner: capture files, a TAP interface or a socket, at most one of these. All empty: a second
/// card.
struct LinkPartnerOptions {
  std::string pcap_in = {};        ///< capture file with whole frames for the card, sent as fast as it takes them
  std::string pcap_out = {};       ///< capture file for the frames that the card sends
  std::string tap = {};            ///< name of a TAP interface
  std::string socket_local = {};   ///< path that a Unix datagram socket is bound to; one frame per datagram
  std::string socket_remote = {};  ///< path that the socket sends to

  [[nodiscard]] bool any() const noexcept { return *this != LinkPartnerOptions{}; }
  friend bool operator==(const LinkPartnerOptions&, const LinkPartnerOptions&) = default;
};

/// Bytes of the longest frame that a link partner passes on, without FCS. More than any card accepts.
inline constexpr std::size_t kLinkPartnerFrameBytes = 16 * 1024;
/// Polling interval of a link partner while something else is waited for.
inline constexpr Duration kLinkPartnerInterval = std::chrono::microseconds(10);

/// Opens the link partner that `options` selects, of a wire with this clock. Errors: invalid_argument for two kinds or
/// an incomplete one, not_found, permission_denied, busy, io_error; the error's text and hint name the file.
[[nodiscard]] Result<std::unique_ptr<LinkPartner>> open_link_partner(const LinkPartnerOptions& options,
                                                                     const Clock& clock);

}  // namespace pollux::sim
