// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "settings/asked.hpp"

namespace pollux::test::settings {

/// The bits `mask` of the register at `offset` hold `value`, or those of one of `slots` registers from there on.
struct Field {
  std::uint32_t offset;
  std::uint32_t mask;
  std::uint32_t value;
  std::uint32_t slots = 1;
};

/// What a setting leaves in an 82576, as published: the datasheets by section, Linux's igb by file and function or
/// name. Written without the driver, its register declarations and its constants, so that it can judge them.
struct FieldRow {
  std::string_view setting;
  void (*ask)(Asked& asked);  ///< on top of a port with four queues each way, rings of 64 and the defaults
  std::vector<Field> fields;
  std::string_view source;
};

/// Rows that concern what a port receives, and its queues.
[[nodiscard]] std::span<const FieldRow> receive_rows();
/// The others.
[[nodiscard]] std::span<const FieldRow> other_rows();

// Registers, by their offsets in the datasheet. Those of a queue are 0x40 apart, others 4.
inline constexpr std::uint32_t kCtrl = 0x0000, kCtrlExt = 0x0018, kVet = 0x0038, kRctl = 0x0100, kTctl = 0x0400;
inline constexpr std::uint32_t kEitr = 0x1680, kIvar = 0x1700, kRlpml = 0x5004, kRxcsum = 0x5000, kRfctl = 0x5008;
inline constexpr std::uint32_t kRal = 0x5400, kRah = 0x5404, kMta = 0x5200, kVfta = 0x5600, kVmolr = 0x5AD0;
inline constexpr std::uint32_t kSrrctl = 0xC00C, kRxdctl = 0xC028, kTxdctl = 0xE028, kQueue = 0x40;
inline constexpr std::uint32_t kFcal = 0x0028, kFcah = 0x002C, kFct = 0x0030, kIms = 0x00D0, kFcttv = 0x0170;
inline constexpr std::uint32_t kGpie = 0x1514, kIvarMisc = 0x1740, kFcrtl = 0x2160, kFcrth = 0x2168, kDtxswc = 0x3500;
inline constexpr std::uint32_t kVmvir = 0x3700, kSynqf = 0x55FC, kMrqc = 0x5818, kVtCtl = 0x581C, kSaqf = 0x5980;
inline constexpr std::uint32_t kDaqf = 0x59A0, kSpqf = 0x59C0, kFtqf = 0x59E0, kImir = 0x5A80, kImirext = 0x5AA0;
inline constexpr std::uint32_t kRplolr = 0x5AF0, kReta = 0x5C00, kRssrk = 0x5C80, kEtqf = 0x5CB0, kVlvf = 0x5D00;
inline constexpr std::uint32_t kTsyncrxcfg = 0x5F50, kTiminca = 0xB608, kTsynctxctl = 0xB614, kTsyncrxctl = 0xB620;
inline constexpr std::uint32_t kAllBits = 0xFFFFFFFF;

}  // namespace pollux::test::settings
