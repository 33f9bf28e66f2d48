// SPDX-License-Identifier: BSD-3-Clause
#include "net/handover/kept_card.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "device/device_handover.hpp"
#include "net/handover/device_record.hpp"

namespace pollux::handover {
namespace {

constexpr std::uint64_t kBytes = KeptFile::kFirst + KeptCard::kAreas * KeptCard::kArea;

using Cards = std::map<std::string, std::shared_ptr<KeptCard>>;

Cards& cards_of(ContextState& context) {
  return *static_cast<Cards*>(
      context.service_slot(typeid(Cards), [] { return std::shared_ptr<void>(std::make_shared<Cards>()); }));
}

/// systemd's names have no colon.
std::string prefix_of(std::string device) {
  std::ranges::replace(device, ':', '/');
  return device + "/";
}

Result<std::shared_ptr<KeptCard>> fresh(KeptPort keeper, const std::string& device) {
  auto file = KeptFile::make(device, kBytes);
  if (!file) return pass_on(std::move(file));
  auto memory = KeptFile::map(device, file->get(), kBytes);
  if (!memory) return pass_on(std::move(memory));
  return std::make_shared<KeptCard>(std::move(keeper), *std::move(file), *std::move(memory));
}

/// The card of a program that has ended, whose descriptors the Context gets.
Result<std::shared_ptr<KeptCard>> continued(ContextState& context, const KeptPort& keeper, const std::string& device,
                                            std::vector<NamedDescriptor> held) {
  const auto state = std::ranges::find(held, kStateFile, &NamedDescriptor::name);
  if (state == held.end())
    return fail(ErrorCode::invalid_argument, "the program ended before all was stored", "nothing is to be done");
  FileDescriptor file = std::move(state->file);
  held.erase(state);
  auto memory = KeptFile::map(device, file.get(), kBytes);
  if (!memory) return pass_on(std::move(memory));
  auto record = read_kept(*memory, std::move(held));
  if (!record) return pass_on(std::move(record));
  auto card = read_device(*record);
  if (!card) return pass_on(std::move(card));
  if (!*card || (*card)->name != device) return malformed("it is of another card");
  (*card)->ended = true;
  (*card)->used.clear();
  taken_devices(context).add(**std::move(card));
  auto kept = std::make_shared<KeptCard>(keeper, std::move(file), *std::move(memory));
  kept->record = *std::move(record);
  return kept;
}

}  // namespace

Result<bool> begin_keeping(ContextState& context, const std::string& device, const std::string& where) {
  KeptPort keeper(Keeper(where), prefix_of(device));
  auto held = keeper.take(context, device);
  if (!held) return pass_on(std::move(held));
  bool dropped = false;
  if (!held->empty()) {
    auto kept = continued(context, keeper, device, *std::move(held));
    if (kept) {
      cards_of(context)[device] = *std::move(kept);
      return false;
    }
    report_anew(context, device, kept.error());
    keeper.end();
    dropped = true;
  }
  auto made = fresh(std::move(keeper), device);
  if (!made) return pass_on(std::move(made));
  cards_of(context)[device] = *std::move(made);
  return dropped;
}

void start_anew(ContextState& context, const std::string& device, const Error& why) {
  report_anew(context, device, why);
  KeptCard& card = *cards_of(context).at(device);
  card.keeper.end();
  card.memory.write_record({});
  card.record.reset();
  taken_devices(context).remove(device);
}

std::shared_ptr<KeptCard> claim(ContextState& context, const std::string& device) {
  auto node = cards_of(context).extract(device);
  return node ? std::move(node.mapped()) : nullptr;
}

}  // namespace pollux::handover
