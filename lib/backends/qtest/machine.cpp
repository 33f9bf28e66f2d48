// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <utility>

#include "mem/context_state.hpp"

namespace pollux::qtest {
namespace {

constexpr std::size_t kMinPage = 4096;
constexpr std::size_t kMaxPage = std::size_t{1} << 30;
constexpr std::chrono::milliseconds kExitLimit{2000};
constexpr std::uint32_t kEmptySlot = ~std::uint32_t{0};

/// The Context's memory file that becomes QEMU's RAM.
struct Memory {
  int descriptor;
  std::size_t page_size;
};

Result<Memory> find_memory(Context& context) {
  for (int round = 0; round < 2; ++round) {
    for (std::size_t size = kMinPage; size <= kMaxPage; size *= 2) {
      if (const int file = context.state()->memory_descriptor(size); file >= 0) return Memory{file, size};
    }
    // The file exists after the first allocation, and stays when that is freed.
    auto first = context.allocate({.size = 1, .purpose = "DMA memory"});
    if (!first) return pass_on(std::move(first));
  }
  return fail(ErrorCode::no_memory, "the Context has no memory file");
}

}  // namespace

Result<std::shared_ptr<Machine>> Machine::start(Context& context, const Target& target) {
  auto memory = find_memory(context);
  if (!memory) return pass_on(std::move(memory));
  struct stat file {};
  if (::fstat(memory->descriptor, &file) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the Context's memory file", target.uri), errno);
  }
  const std::uint64_t ram = usable_ram(static_cast<std::uint64_t>(file.st_size), memory->page_size);
  auto launched = launch(target, memory->descriptor, ram);
  if (!launched) return pass_on(std::move(launched));
  std::shared_ptr<Machine> machine(new Machine(context.state(), target, *std::move(launched)));
  if (auto ready = machine->set_up(context, memory->descriptor, ram); !ready) return pass_on(std::move(ready));
  return machine;
}

Machine::Machine(std::shared_ptr<ContextState> context, const Target& target, LaunchedQemu launched)
    : context_(std::move(context)),
      uri_(target.uri),
      process_(std::move(launched.process)),
      doorbells_(std::move(launched.doorbells)),
      bus_(connection_.emplace(std::move(launched.socket), QtestConnection::Limits{.timeout = target.timeout},
                               [this] { process_.kill(); })) {}

Machine::~Machine() {
  log_failure();
  process_ = Process();
  if (attached_) context_->detach(*domain_);
}

Result<void> Machine::set_up(Context& context, int memory, std::uint64_t ram) {
  if (auto bus = set_up_bus(); !bus) {
    if (connection_->failed()) return tl::unexpected<Error>(failure());
    return bus;
  }
  domain_ = std::make_shared<Domain>(memory, ram);
  if (auto attached = context.attach(domain_); !attached) return attached;
  attached_ = true;
  return {};
}

Result<void> Machine::set_up_bus() {
  if (auto open = bus_.enable_config_window(); !open) return open;
  for (unsigned card = 0; card < MachineConfig::kCards; ++card) {
    auto identity = bus_.read(slot(card), 0, 4);
    if (!identity) return pass_on(std::move(identity));
    if (*identity == kEmptySlot) {
      return fail(ErrorCode::not_found, fmt::format("{}: QEMU has no card in slot {}", uri_, slot(card)));
    }
    auto bars = bus_.assign(slot(card));
    if (!bars) return pass_on(std::move(bars));
    bars_[card] = *bars;
  }
  auto doorbell = bus_.assign(MachineConfig::kDoorbellSlot);
  if (!doorbell) return pass_on(std::move(doorbell));
  doorbell_address_ = doorbell->address[0] + DoorbellServer::kDoorbellRegister;
  return {};
}

bool Machine::claim(unsigned card) {
  const std::lock_guard guard(claim_lock_);
  return !std::exchange(claimed_[card], true);
}

void Machine::release(unsigned card) {
  const std::lock_guard guard(claim_lock_);
  claimed_[card] = false;
}

Error Machine::failure() {
  if (connection_->failure() == ConnectionFailure::closed) {
    static_cast<void>(process_.wait(kExitLimit));
    return explain_exit(uri_, process_);
  }
  if (connection_->failure() == ConnectionFailure::silent) {
    return {ErrorCode::timeout,
            fmt::format("{}: QEMU (process {}) did not respond within {} ms and was killed", uri_, process_.pid(),
                        connection_->limits().timeout.count()),
            "check whether it was stopped or had no processor time; qtest:0?timeout=MILLISECONDS allows more time"};
  }
  return {ErrorCode::device_fault,
          fmt::format("{}: QEMU (process {}) sent an invalid reply in its test protocol", uri_, process_.pid()),
          "use another version of QEMU"};
}

void Machine::log_failure() {
  if (!connection_->failed()) return;
  const std::lock_guard guard(claim_lock_);
  if (!std::exchange(failure_logged_, true)) context_->log(LogLevel::error, failure().message());
}

}  // namespace pollux::qtest
