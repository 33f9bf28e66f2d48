// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "pollux/base/clock.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

/// What stands at a wire's link partner instead of a second card. Never waits.
/// Thread rule: one thread at a time; the wire's lock is held.
class LinkPartner {
 public:
  LinkPartner() = default;
  LinkPartner(const LinkPartner&) = delete;
  LinkPartner& operator=(const LinkPartner&) = delete;
  virtual ~LinkPartner() = default;

  /// A frame (without FCS) from the card. False if it was not taken.
  [[nodiscard]] virtual bool send(std::span<const std::byte> frame, Duration now) noexcept = 0;
  /// The next frame for the card if there is one by now; valid until the next call.
  [[nodiscard]] virtual std::optional<std::span<const std::byte>> receive(Duration now) noexcept = 0;
  /// When to ask `receive` again; Duration::max() for never.
  [[nodiscard]] virtual Duration next() const noexcept = 0;
};

/// Which link partner there is; all empty: a second card. At most one kind.
struct LinkPartnerOptions {
  std::string pcap_in = {};        ///< frames for the card, as fast as it takes them
  std::string pcap_out = {};       ///< where the card's frames are written
  std::string tap = {};            ///< a TAP interface's name
  std::string socket_local = {};   ///< where a Unix datagram socket is bound: one frame a datagram
  std::string socket_remote = {};  ///< where its frames go

  [[nodiscard]] bool any() const noexcept { return *this != LinkPartnerOptions{}; }
  friend bool operator==(const LinkPartnerOptions&, const LinkPartnerOptions&) = default;
};

/// The longest frame a link partner passes on, without FCS: more than any card takes.
inline constexpr std::size_t kLinkPartnerFrameBytes = 16 * 1024;
/// How often a link partner that cannot say when it has frames is asked.
inline constexpr Duration kLinkPartnerInterval = std::chrono::microseconds(10);

/// Opens what `options` names. Errors: invalid_argument for two kinds at once or half of a kind, and those of each.
[[nodiscard]] Result<std::unique_ptr<LinkPartner>> open_link_partner(const LinkPartnerOptions& options);

// One kind each. Errors: not_found, permission_denied, busy, io_error, invalid_argument; what and hint name the file.
[[nodiscard]] Result<std::unique_ptr<LinkPartner>> open_pcap_partner(const std::string& in, const std::string& out);
[[nodiscard]] Result<std::unique_ptr<LinkPartner>> open_tap_partner(const std::string& name);
[[nodiscard]] Result<std::unique_ptr<LinkPartner>> open_socket_partner(const std::string& local,
                                                                       const std::string& remote);

}  // namespace pollux::sim
