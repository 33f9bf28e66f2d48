// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "backends/sim/link_partner.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

/// The configuration of a wire and its ends.
struct Setup {
  WireOptions wire;
  LinkPartnerOptions link_partner;
  std::string card = {};     ///< name of the card model at both ends; empty: the default one
  std::string capture = {};  ///< capture file for the frames of both directions, as they enter the wire
  bool threaded = false;
  friend bool operator==(const Setup&, const Setup&) = default;
};

/// The part of a URI after "sim:": NUMBER, NUMBER?OPTION,OPTION,..., or NUMBER.vfFUNCTION, a virtual function of a card
/// that is open. The options:
///   rate=1G            bits per second, with k, M or G; 0: no limit
///   delay=10us         with ns, us, ms or s; jitter=1us adds a random time up to that
///   loss=0.01          a probability, or loss=1%; the same for corrupt, mangle, duplicate, reorder
///   seed=7
///   pcap-in=FILE, pcap-out=FILE, tap=NAME, socket-local=PATH, socket-remote=PATH
///   capture=FILE       writes the frames of both directions to a capture file, as they were sent
///   card=NAME          another card model, at both ends
///   thread             the wire's cards run on their own thread; the same as thread=on
/// A file name must not contain a comma.
struct Uri {
  static constexpr unsigned kCards = 64;

  unsigned number = 0;               ///< below kCards
  std::optional<unsigned> function;  ///< below Wire::kMaxFunctions
  bool has_options = false;
  Setup setup;

  /// Error invalid_argument, which names the invalid part and the valid values.
  [[nodiscard]] static Result<Uri> parse(std::string_view text);
};

}  // namespace pollux::sim
