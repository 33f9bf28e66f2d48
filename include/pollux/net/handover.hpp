// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "pollux/base/api.hpp"
#include "pollux/base/error.hpp"
#include "pollux/mem/context.hpp"

namespace pollux {

class HandoverCore;

/// Offers the started ports of a Context to another program, such as the next version of this one, which takes them
/// over while traffic goes on: no link goes down, no queue is reset, and each frame is received by one of the two.
///
///     auto handover = pollux::Handover::offer(context, "/run/l2fwd.handover");
///     while (running && !handover->is_done()) ...             // receive, send, context.control().run_due()
///
/// It works in the Context's Control. A successor (Takeover) gets a description of each port and its descriptors, and
/// prepares itself while this program goes on. Then the bursts of all ports are empty, for as long as the successor
/// needs to take their queues, some milliseconds at most unless others take the processors; if it ends or does not
/// answer within a second, they go on. When it has taken them, the ports are closed, as by Port::close, and `is_done`
/// is true; what the program still holds are its own frames, which it drops. Its pools stay as they are, and it uses
/// them for nothing else: the successor has buffers in their memory.
///
/// All ports are handed over, or none. Refused are ports that are not started, and drivers that have no handover:
/// `xdp:` ports without a helper have one, and igb cards of `vfio:`. Such a card ends receiving first, and this program
/// goes on for up to 100 ms until it has taken what was received. Who may connect: the program's user, and root.
/// Ownership: the object owns the socket, and the Context outlives it.
/// Thread rule: one thread at a time, but neither in a port's event handler; `is_done` may be called from any thread.
class POLLUX_API Handover {
 public:
  /// Listens at the path `socket`, in a directory that others may not write to. If this program has taken its ports
  /// over there (Takeover), it goes on with the socket that it got. Errors: invalid_argument (the path is too long),
  /// busy (another program listens there), permission_denied (the directory), io_error.
  [[nodiscard]] static Result<Handover> offer(Context& context, const std::string& socket);
  /// The other one may then only be destroyed or assigned to.
  ///@{
  Handover(Handover&&) noexcept;
  Handover& operator=(Handover&&) noexcept;
  ///@}
  /// Removes the socket, unless a successor has it.
  ~Handover();

  /// Whether a successor has the ports.
  [[nodiscard]] bool is_done() const noexcept;

 private:
  explicit Handover(std::shared_ptr<HandoverCore> core);
  std::shared_ptr<HandoverCore> core_;
};

/// Takes over the ports of a program that offers them (Handover). Ports that are then opened and started in this
/// Context with the URIs of that program continue its queues, in place of a start:
///
///     auto takeover = pollux::Takeover::begin(context, "/run/l2fwd.handover");
///     auto port = pollux::open(context, "xdp:eth1?rule=all", settings);              // each of them
///     if (takeover && *takeover) (*takeover)->finish();                              // now they are this program's
///
/// The first start makes the other program's bursts empty, so do slow work, such as the creation of pools, before it.
/// Do not call a burst before `finish`. A port is refused if its queues, rings, flow rules or the options of its URI
/// differ from those that run, one of a card if any setting but those of rings does; nothing has changed then, and the
/// other program goes on. All else may differ, as may the programs' versions and pools. Open ports of cards before
/// memory is allocated: it must not lie at addresses that the other program uses.
/// Ownership: the Context outlives it. Thread rule: one thread at a time.
class POLLUX_API Takeover {
 public:
  /// nullopt: nobody offers anything there. Errors: permission_denied (a program of another user listens), busy
  /// (another successor has connected), not_supported (another version of the record), timeout, io_error, and those
  /// with which the program refuses.
  [[nodiscard]] static Result<std::optional<Takeover>> begin(Context& context, const std::string& socket);
  /// The other one may then only be destroyed or assigned to.
  ///@{
  Takeover(Takeover&&) noexcept;
  Takeover& operator=(Takeover&&) noexcept;
  ///@}
  /// Gives up, unless `finish` was called: the other program goes on. The ports that were started then carry nothing;
  /// close them.
  ~Takeover();

  /// Errors: bad_state (a port of the other program was not started here), io_error (the other program goes on).
  [[nodiscard]] Result<void> finish();

 private:
  explicit Takeover(std::shared_ptr<ContextState> context);
  std::shared_ptr<ContextState> context_;
};

}  // namespace pollux
