// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <string_view>

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

}  // namespace pollux::qtest
