// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "mem/context_state.hpp"
#include "net/handover/kept_file.hpp"
#include "net/handover/kept_port.hpp"
#include "net/handover/record.hpp"

namespace pollux::handover {

/// The name of the file with the record. It is stored last.
inline constexpr const char* kStateFile = "state";

/// A card of a port that a keeper holds. Besides its descriptors a file is held, with the record and two areas of words
/// that the driver changes all the time, one of them for the program before. Thread rule: the port's control thread.
/// When it is destroyed, the keeper drops what it still has: nobody continues the card in this program.
struct KeptCard {
  KeptCard(KeptPort by, FileDescriptor of, KeptFile mapped) noexcept
      : keeper(std::move(by)), file(std::move(of)), memory(std::move(mapped)) {}
  KeptCard(const KeptCard&) = delete;
  KeptCard& operator=(const KeptCard&) = delete;
  ~KeptCard() { keeper.end(); }

  static constexpr std::uint64_t kArea = std::uint64_t{512} << 10;
  static constexpr unsigned kAreas = 2;

  KeptPort keeper;
  FileDescriptor file;
  KeptFile memory;
  std::optional<PortRecord> record;  ///< of a program that has ended, until the card is continued or started anew

  [[nodiscard]] std::byte* area(unsigned number) const noexcept { return memory.rest() + number * kArea; }
};

/// The cards of a Context that are kept, by the names of their Devices, from their opening until a driver claims them.
/// Thread rule: one thread at a time.
///@{
/// Asks the keeper `where` for the card, which will be opened: its descriptors are then in `taken_devices`. Returns
/// whether the keeper has dropped what cannot be continued. Errors: busy (a program that runs has it), no_memory.
[[nodiscard]] Result<bool> begin_keeping(ContextState& context, const std::string& device, const std::string& where);
/// What was taken cannot be continued, says the error: the keeper drops it.
void start_anew(ContextState& context, const std::string& device, const Error& why);
/// nullptr: it is not kept.
[[nodiscard]] std::shared_ptr<KeptCard> claim(ContextState& context, const std::string& device);
///@}

}  // namespace pollux::handover
