// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

#include "backends/sim/link_partner.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/error.hpp"

namespace pollux::sim {

/// How a wire is made.
struct Setup {
  WireOptions wire;
  LinkPartnerOptions link_partner;
  std::string card = {};  ///< a kind of card, for both ends; empty: the usual one
  bool threaded = false;
  friend bool operator==(const Setup&, const Setup&) = default;
};

/// What follows "sim:": NUMBER, or NUMBER?OPTION,OPTION,... with
///   rate=1G            bits a second, with k, M or G
///   delay=10us         with ns, us, ms or s
///   loss=0.01          a probability, or loss=1%; the same for corrupt, mangle, duplicate, reorder
///   seed=7
///   pcap-in=FILE, pcap-out=FILE, tap=NAME, socket-local=PATH, socket-remote=PATH
///   card=NAME          another kind of card, at both ends
///   thread             the wire's cards work on a thread of their own
/// A file's name has no comma in it.
struct Uri {
  static constexpr unsigned kCards = 64;

  unsigned number = 0;  ///< below kCards
  bool has_options = false;
  Setup setup;

  /// Error invalid_argument, which names the part and what may stand there.
  [[nodiscard]] static Result<Uri> parse(std::string_view which);
};

}  // namespace pollux::sim
