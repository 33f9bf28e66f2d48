// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>

#include "pollux/base/error.hpp"

namespace pollux::qtest {

/// A card that QEMU has: qtest:0?card=NAME.
struct CardModel {
  std::string_view name;
  std::string_view device;  ///< QEMU's name of it
  std::string_view hint;    ///< what to do if a QEMU lacks it
};

/// The first is that of a URI without "card=".
inline constexpr std::array kCardModels{
    CardModel{"82576", "igb",
              "install QEMU 8.0 or newer (Debian 13, Ubuntu 24.04: apt-get install qemu-system-x86; Debian 12: from "
              "bookworm-backports), or select it with qtest:0?qemu=PATH; check: `qemu-system-x86_64 -device help | "
              "grep igb`"},
    CardModel{"virtio-net", "virtio-net-pci",
              "install a QEMU that has virtio (Debian: package qemu-system-x86), or select it with qtest:0?qemu=PATH"}};

/// The part of a URI after "qtest:": NUMBER, or NUMBER?OPTION,OPTION,... The options:
///   card=NAME              the kind of card (kCardModels), for both ends of the wire
///   qemu=PROGRAM           the QEMU to start
///   properties=P:V+P:V     QEMU's properties of both cards, such as packed:on
///   timeout=MILLISECONDS   maximum time for a reply of QEMU
struct Target {
  static constexpr unsigned kCards = 64;

  unsigned number = 0;  ///< below kCards
  const CardModel* card = &kCardModels[0];
  std::string properties;                   ///< as QEMU's -device has them, each after a comma
  std::string qemu = "qemu-system-x86_64";  ///< searched in PATH unless it contains a slash
  std::chrono::milliseconds timeout{3000};  ///< for a reply, 1 to 600,000
  /// The whole URI, with "qtest:".
  std::string uri;
};

/// Parses `text`, the part of a URI after "qtest:". Error: invalid_argument.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

}  // namespace pollux::qtest
