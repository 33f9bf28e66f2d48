// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "backends/sim/link_partner.hpp"
#include "backends/sim/wire.hpp"
#include "pollux/backends/sim/wire.hpp"
#include "pollux/base/error.hpp"
#include "pollux/device/device.hpp"
#include "pollux/mem/context.hpp"

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
///   card=NAME          another card model, at both ends; what else NAME may say is up to FindModel
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

/// Creates the card of `sim:number`.
using ModelFactory = std::function<std::unique_ptr<DeviceModel>(unsigned number)>;
/// Finds the factory for a card name. An empty name selects the default card. The caller supplies it, because a backend
/// does not know the models.
using FindModel = std::function<Result<ModelFactory>(std::string_view name)>;

/// A Context's wires: the first connects sim:0 and sim:1, the second sim:2 and sim:3, and so on. The carrier is present
/// while the wire exists. The wire drops and counts frames for an end that is not open. Thread rule: any thread.
class WireRegistry {
 public:
  /// The wire of card `uri.number`, created if necessary. The first card that is opened decides the setup. While a card
  /// is open, a different setup is an error. Errors: invalid_argument for that, and those of the link partner.
  [[nodiscard]] Result<std::shared_ptr<Wire>> wire(Clock& clock, const Uri& uri, const FindModel& find_model);
  /// The wire of card `number`; nullptr if it was never opened.
  [[nodiscard]] std::shared_ptr<Wire> find(unsigned number) const;

 private:
  struct Entry {
    std::shared_ptr<Wire> wire;
    Setup setup;
    unsigned card = 0;  // number of the card at end 0
  };

  [[nodiscard]] static Result<std::shared_ptr<Wire>> make(Clock& clock, const Uri& uri, const ModelFactory& make_card);

  mutable std::mutex lock_;
  std::array<Entry, Uri::kCards / 2> entries_;
};

/// Opens the card that `uri` names, the part of a URI after "sim:" (see Uri). Errors: invalid_argument for a malformed
/// URI, busy if the card is open, those of WireRegistry::wire and of Context::attach.
[[nodiscard]] Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view uri,
                                                       const FindModel& find_model);
/// Opens a virtual function, such as "0.vf1", of a card that is open in the Context `cards`. Its DMA reaches the memory
/// of `user` alone, as that of a function that belongs to another process. Both Contexts outlive the device. Errors:
/// invalid_argument, not_found (the card was never opened), not_supported (it has no such function), busy, and those of
/// Context::attach.
[[nodiscard]] Result<std::unique_ptr<Device>> open_function_for(Context& user, Context& cards, std::string_view uri);
/// As open_sim, with one kind of card. The URI's card name is ignored.
[[nodiscard]] Result<std::unique_ptr<Device>> open_sim(Context& context, std::string_view uri,
                                                       std::unique_ptr<DeviceModel> (*make_card)(unsigned number));

}  // namespace pollux::sim
