// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/machine.hpp"

#include <fmt/format.h>
#include <linux/pci_regs.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "device/capability_list.hpp"
#include "mem/context_state.hpp"

namespace pollux::qtest {
namespace {

// The host bridge's PCIEXBAR register sets the memory window onto all configuration spaces: 256 MiB, bit 0 enables it.
// It is written through the ports of PCI configuration mechanism 1. QEMU, include/hw/pci-host/q35.h.
constexpr std::uint32_t kHostBridge = 0x29C08086;
constexpr std::uint32_t kWindowRegister = 0x60;
constexpr std::uint64_t kWindow = 0xB0000000;
// The BARs are placed between that window and the interrupt controllers.
constexpr std::uint64_t kFirstBar = 0xC0000000;
constexpr std::uint64_t kLastBar = 0xFE000000;

// PCI Local Bus 3.0, 6.1 and 6.2.5, as given in Linux, include/uapi/linux/pci_regs.h.
constexpr std::uint32_t kFirstBarRegister = 0x10;
constexpr std::uint32_t kBarIo = 1;
constexpr std::uint32_t kBarType = 0x6;
constexpr std::uint32_t kBar64 = 0x4;
constexpr std::uint32_t kBarFlags = 0xF;

std::uint64_t window_address(unsigned slot, std::uint32_t offset) { return kWindow | slot << 15 | offset; }

std::string_view suffix(unsigned width) { return width == 1 ? "b" : width == 2 ? "w" : "l"; }

tl::unexpected<Error> fail_no_reply() {
  return fail(ErrorCode::device_removed, "QEMU no longer responds",
              "close its ports and open them again, which starts a new QEMU");
}

}  // namespace

Result<void> PciBus::enable_config_window() {
  next_ = kFirstBar;
  connection_->post("outl 0xcf8 0x80000000");
  const auto bridge = connection_->ask("inl 0xcfc");
  if (!bridge) return fail_no_reply();
  if (*bridge != kHostBridge) {
    return fail(ErrorCode::not_supported,
                fmt::format("QEMU's host bridge is {:#010x} instead of {:#010x}", *bridge, kHostBridge),
                "start QEMU with -machine q35");
  }
  connection_->post(fmt::format("outl 0xcf8 {:#x}", 0x80000000 | (kWindowRegister + 4)));
  connection_->post("outl 0xcfc 0");
  connection_->post(fmt::format("outl 0xcf8 {:#x}", 0x80000000 | kWindowRegister));
  connection_->post(fmt::format("outl 0xcfc {:#x}", kWindow | 1));
  const auto seen = read(0, 0, 4);
  if (!seen) return pass_on(Result<std::uint32_t>(seen));
  if (*seen == kHostBridge) return {};
  return fail(ErrorCode::device_fault, "QEMU's configuration window cannot be enabled", "use another version of QEMU");
}

Result<std::uint32_t> PciBus::read(unsigned slot, std::uint32_t offset, unsigned width) {
  const auto value = connection_->ask(fmt::format("read{} {:#x}", suffix(width), window_address(slot, offset)));
  if (!value) return fail_no_reply();
  return static_cast<std::uint32_t>(*value);
}

Result<void> PciBus::write(unsigned slot, std::uint32_t offset, unsigned width, std::uint32_t value) {
  connection_->post(fmt::format("write{} {:#x} {:#x}", suffix(width), window_address(slot, offset), value));
  // A configuration write is not posted, so wait for its completion by a read.
  auto settled = read(slot, offset, width);
  if (!settled) return pass_on(std::move(settled));
  return {};
}

Result<BarLayout> PciBus::assign(unsigned slot) {
  BarLayout layout;
  for (unsigned bar = 0; bar < layout.size.size(); ++bar) {
    const std::uint32_t offset = kFirstBarRegister + bar * 4;
    auto before = read(slot, offset, 4);
    if (!before) return pass_on(std::move(before));
    if ((*before & kBarIo) != 0) continue;
    auto size = read_bar_size(slot, offset);
    if (!size) return pass_on(std::move(size));
    if (*size != 0) {
      auto at = allocate_address(*size);
      if (!at) return pass_on(std::move(at));
      layout.address[bar] = *at;
      layout.size[bar] = *size;
    }
    if ((*before & kBarType) == kBar64) ++bar;  // skip the upper half of the address, which stays 0
  }
  if (auto placed = restore(slot, layout); !placed) return pass_on(std::move(placed));
  return layout;
}

Result<std::uint32_t> PciBus::read_bar_size(unsigned slot, std::uint32_t offset) {
  if (auto written = write(slot, offset, 4, ~0U); !written) return pass_on(std::move(written));
  auto mask = read(slot, offset, 4);
  if (!mask) return mask;
  return ~(*mask & ~kBarFlags) + 1;
}

Result<std::uint64_t> PciBus::allocate_address(std::uint64_t size) {
  const std::uint64_t at = (next_ + size - 1) / size * size;
  if (at + size > kLastBar) {
    return fail(ErrorCode::no_memory, "QEMU's cards need more address space than is available",
                "start QEMU with fewer cards");
  }
  next_ = at + size;
  return at;
}

Result<void> PciBus::restore(unsigned slot, const BarLayout& layout) {
  for (unsigned bar = 0; bar < layout.size.size(); ++bar) {
    if (layout.size[bar] == 0) continue;
    auto placed = write(slot, kFirstBarRegister + bar * 4, 4, static_cast<std::uint32_t>(layout.address[bar]));
    if (!placed) return placed;
  }
  auto command = read(slot, PCI_COMMAND, 2);
  if (!command) return pass_on(std::move(command));
  return write(slot, PCI_COMMAND, 2, *command | PCI_COMMAND_MEMORY);
}

Result<std::optional<std::uint32_t>> PciBus::find_capability(unsigned slot, std::uint8_t id) {
  return pollux::find_capability(
      id, [this, slot](std::uint32_t offset, unsigned width) { return read(slot, offset, width); });
}

namespace {

/// A PC's video memory and ROMs are below this address.
constexpr std::uint64_t kFirst = std::uint64_t{1} << 20;

/// A line of /proc/self/maps, see proc(5).
struct Mapping {
  std::uint64_t first = 0;
  std::uint64_t end = 0;
  std::uint64_t offset = 0;
  dev_t device = 0;
  ino_t inode = 0;
};

bool parse(const std::string& line, Mapping& mapping) {
  std::istringstream fields(line);
  std::string permissions;
  char separator = 0;
  unsigned major = 0;
  unsigned minor = 0;
  fields >> std::hex >> mapping.first >> separator >> mapping.end >> permissions >> mapping.offset >> major >>
      separator >> minor >> std::dec >> mapping.inode;
  mapping.device = ::makedev(major, minor);
  return !fields.fail();
}

}  // namespace

Domain::Domain(int descriptor, std::uint64_t ram) : ram_(ram) {
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return;
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

std::vector<IovaRange> Domain::usable_iova() const { return {{kFirst, ram_ - 1}}; }

Result<void> Domain::map(const DmaSegment& segment) {
  if (!segment.writable) return fail(ErrorCode::not_supported, "qtest domain: QEMU's cards can write all of its RAM");
  const auto address = reinterpret_cast<std::uintptr_t>(segment.address);
  std::uint64_t covered = address;
  std::ifstream maps("/proc/self/maps");
  std::string line;
  Mapping mapping;
  while (covered < address + segment.size && std::getline(maps, line)) {
    if (!parse(line, mapping) || mapping.end <= covered) continue;
    const bool same_file = mapping.device == device_ && mapping.inode == inode_;
    const bool same_offset = mapping.offset + (covered - mapping.first) == segment.iova + (covered - address);
    if (mapping.first > covered || !same_file || !same_offset) break;
    covered = mapping.end;
  }
  if (covered >= address + segment.size) return {};
  return fail(ErrorCode::not_supported,
              fmt::format("{} bytes at {:#x} are not in the file that QEMU uses as RAM", segment.size, segment.iova),
              "QEMU uses one file with one page size, and none of the application's own memory: set "
              "ContextOptions::huge_pages to `never`, or to `require` with enough of them");
}

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
            "check whether it was stopped or had no processor time, and whether both programs of vhost-user= are "
            "there; qtest:0?timeout=MILLISECONDS allows more time"};
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
