// SPDX-License-Identifier: BSD-3-Clause
#include "backends/qtest/launch.hpp"

#include <fmt/format.h>
#include <net/if.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "base/uri_options.hpp"

namespace pollux::qtest {
namespace {

constexpr unsigned kMaxTimeout = 600'000;
constexpr std::string_view kExample =
    "qtest:0, qtest:0?qemu=/path/to/qemu-system-x86_64 or qtest:0?timeout=MILLISECONDS";

std::optional<unsigned> parse_unsigned(std::string_view text) {
  unsigned value = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) return std::nullopt;
  return value;
}

// Without a character that separates options of QEMU's.
bool is_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

// "a:b+c:d" as ",a=b,c=d".
std::optional<std::string> device_properties(std::string_view text) {
  std::string properties;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('+', at), text.size());
    const std::string_view one = text.substr(at, end - at);
    const std::size_t colon = one.find(':');
    if (colon == std::string_view::npos || !is_word(one.substr(0, colon)) || !is_word(one.substr(colon + 1)))
      return std::nullopt;
    properties += fmt::format(",{}={}", one.substr(0, colon), one.substr(colon + 1));
    at = end + 1;
  }
  return properties;
}

tl::unexpected<Error> refuse(const Target& target, std::string_view why, std::string hint) {
  return fail(ErrorCode::invalid_argument, fmt::format("'{}': {}", target.uri, why), std::move(hint));
}

Result<void> apply(Target& target, const UriOptions& options) {
  if (const auto card = options.get("card")) {
    target.card =
        std::find_if(kCardModels.begin(), kCardModels.end(), [&](const CardModel& m) { return m.name == *card; });
    if (target.card == kCardModels.end()) {
      std::vector<std::string_view> names;
      for (const CardModel& model : kCardModels) names.push_back(model.name);
      return refuse(target, fmt::format("there is no card named '{}'", *card),
                    fmt::format("write card={}", fmt::join(names, " or card=")));
    }
  }
  if (const auto properties = options.get("properties")) {
    auto text = device_properties(*properties);
    if (!text) {
      return refuse(target, fmt::format("'properties={}' are not properties", *properties),
                    "write properties=NAME:VALUE+NAME:VALUE, such as properties=packed:on");
    }
    target.properties = *std::move(text);
  }
  if (const auto tap = options.get("tap")) {
    constexpr std::size_t kLongest = IFNAMSIZ - 2;  // the number follows
    if (!is_word(*tap) || tap->size() > kLongest) {
      return refuse(target, fmt::format("'tap={}' is not the name of interfaces", *tap),
                    "write tap=NAME: small letters, digits, '-' and '_', at most 14");
    }
    target.tap = *tap;
  }
  if (const auto path = options.get("vhost-user")) {
    constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 2;  // the number and a zero follow
    if (path->empty() || path->size() > kLongest || !target.tap.empty() || target.card->device != "virtio-net-pci") {
      return refuse(
          target, fmt::format("'vhost-user={}' cannot be", *path),
          fmt::format("write card=virtio-net,vhost-user=PATH, without tap=; at most {} characters", kLongest));
    }
    target.vhost_user = *path;
  }
  if (const auto queues = options.get("queues")) {
    const auto count = parse_unsigned(*queues);
    if ((target.tap.empty() && target.vhost_user.empty()) || !count || *count < 1 || *count > Target::kMaxQueues) {
      return refuse(target, fmt::format("'queues={}' cannot be", *queues),
                    fmt::format("write queues=1 to queues={} beside tap= or vhost-user=", Target::kMaxQueues));
    }
    target.queues = *count;
  }
  if (const auto qemu = options.get("qemu")) {
    if (qemu->empty()) return refuse(target, "qemu needs a path", std::string(kExample));
    target.qemu = *qemu;
  }
  if (const auto timeout = options.get("timeout")) {
    const auto milliseconds = parse_unsigned(*timeout);
    if (!milliseconds || *milliseconds < 1 || *milliseconds > kMaxTimeout) {
      return refuse(target, fmt::format("'timeout={}' is not a valid timeout", *timeout),
                    fmt::format("use timeout=1 to timeout={}, in milliseconds", kMaxTimeout));
    }
    target.timeout = std::chrono::milliseconds(*milliseconds);
  }
  return {};
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
  Target target;
  target.uri = fmt::format("qtest:{}", text);
  const std::size_t question = text.find('?');
  const auto number = parse_unsigned(text.substr(0, question));
  if (!number || *number >= Target::kCards) {
    return refuse(
        target, "no such card",
        fmt::format("use qtest:0 to qtest:{}; a wire connects an even number and the next one", Target::kCards - 1));
  }
  target.number = *number;
  if (question == std::string_view::npos) return target;
  constexpr std::array<std::string_view, 7> kKeys{"card", "properties", "qemu",      "queues",
                                                  "tap",  "timeout",    "vhost-user"};
  auto options = UriOptions::parse(text.substr(question + 1), kKeys, target.uri, kExample);
  if (!options) return pass_on(std::move(options));
  if (auto applied = apply(target, *options); !applied) return pass_on(std::move(applied));
  return target;
}

namespace {

constexpr std::int64_t kProtocolVersion = 0;
constexpr std::int64_t kOwnId = 0;  // QEMU's id; the ids of the cards follow
constexpr std::int64_t kSharedMemory = -1;
constexpr off_t kSharedMemorySize = 4096;

/// Sends one message: a 64-bit number, and `descriptor` if it is not negative.
bool send_message(int socket, std::int64_t number, int descriptor) {
  iovec bytes{.iov_base = &number, .iov_len = sizeof number};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control{};
  if (descriptor >= 0) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
  }
  return ::sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) == ssize_t{sizeof number};
}

tl::unexpected<Error> no_descriptors(int error) {
  return fail_errno(ErrorCode::io_error, "the eventfds of QEMU's interrupts cannot be created", error);
}

}  // namespace

Result<DoorbellServer> DoorbellServer::create(unsigned cards, unsigned vectors) {
  DoorbellServer server;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return no_descriptors(errno);
  server.server_ = FileDescriptor(ends[0]);
  server.client_ = FileDescriptor(ends[1]);
  server.memory_ = FileDescriptor(::memfd_create("pollux-doorbells", MFD_CLOEXEC));
  if (!server.memory_ || ::ftruncate(server.memory_.get(), kSharedMemorySize) != 0) return no_descriptors(errno);
  for (unsigned card = 0; card < cards; ++card) {
    auto& numbers = server.numbers_.emplace_back();
    for (unsigned vector = 0; vector < vectors; ++vector) {
      FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
      if (!event) return no_descriptors(errno);
      numbers.push_back(event.get());
      server.events_.push_back(std::move(event));
    }
  }
  if (auto sent = server.send_events(vectors); !sent) return pass_on(std::move(sent));
  return server;
}

Result<void> DoorbellServer::send_events(unsigned vectors) {
  bool sent = send_message(server_.get(), kProtocolVersion, -1) && send_message(server_.get(), kOwnId, -1) &&
              send_message(server_.get(), kSharedMemory, memory_.get());
  for (std::size_t card = 0; card < numbers_.size(); ++card) {
    const std::int64_t id = message(static_cast<unsigned>(card), 0) >> 16;
    for (unsigned vector = 0; vector < vectors; ++vector) {
      sent = sent && send_message(server_.get(), id, numbers_[card][vector]);
    }
  }
  if (!sent) return no_descriptors(errno);
  return {};
}

void DoorbellServer::drain(unsigned card) const noexcept {
  for (const int event : numbers_[card]) {
    std::uint64_t signals = 0;
    static_cast<void>(!::read(event, &signals, sizeof signals));
  }
}

namespace {

constexpr std::uint64_t kSplitFrom = 0xB0000000;
/// QEMU rounds RAM to 8 KiB and requires a file of that length. A multiple of this size is never rounded.
constexpr std::uint64_t kRamUnit = std::uint64_t{1} << 20;
/// How often QEMU looks for the successor of a far end that has gone.
constexpr unsigned kReconnectMilliseconds = 100;
constexpr std::size_t kFirmwareSize = 65536;
constexpr std::size_t kResetVector = kFirmwareSize - 16;

}  // namespace

std::uint64_t usable_ram(std::uint64_t file_size, std::uint64_t page_size) {
  const std::uint64_t unit = std::max(page_size, kRamUnit);
  return std::min(file_size, kSplitFrom - 1) / unit * unit;
}

namespace {

std::string netdev(const MachineConfig& config, unsigned card) {
  if (!config.vhost_user.empty())
    return fmt::format("vhost-user,id=net{0},chardev=far{0},queues={1}", card, config.queues);
  if (config.tap.empty()) return fmt::format("hubport,id=net{},hubid=0", card);
  return fmt::format("tap,id=net{},ifname={}{},script=no,downscript=no,queues={}", card, config.tap, card,
                     config.queues);
}

}  // namespace

std::vector<std::string> command_line(const MachineConfig& config) {
  std::vector<std::string> words{
      config.qemu, "-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg", "-smp", "1", "-machine",
      // No devices with timers of their own.
      "q35,memory-backend=ram,sata=off,smbus=off,usb=off,hpet=off,pit=off", "-bios",
      fmt::format("/proc/self/fd/{}", config.firmware), "-m", fmt::format("{}B", config.ram), "-object",
      // Without reserve=off, huge pages would be reserved for the whole range.
      fmt::format("memory-backend-file,id=ram,share=on,reserve=off,size={}B,mem-path=/proc/self/fd/{}", config.ram,
                  config.memory),
      "-chardev", fmt::format("socket,id=qtest,fd={}", config.socket), "-qtest", "chardev:qtest", "-qtest-log", "none",
      "-chardev", fmt::format("socket,id=doorbells,fd={}", config.doorbells), "-device",
      fmt::format("ivshmem-doorbell,chardev=doorbells,vectors={},addr={:#x}", config.doorbell_vectors,
                  MachineConfig::kDoorbellSlot)};
  for (unsigned card = 0; card < MachineConfig::kCards; ++card) {
    const unsigned number = config.first_card + card;
    if (!config.vhost_user.empty()) {
      words.insert(words.end(), {"-chardev", fmt::format("socket,id=far{0},path={1}{0},reconnect-ms={2}", card,
                                                         config.vhost_user, kReconnectMilliseconds)});
    }
    words.insert(words.end(),
                 {"-netdev", netdev(config, card), "-device",
                  fmt::format("{},netdev=net{},addr={:#x},romfile=,mac=02:00:00:82:57:{:02x}{}", config.card, card,
                              MachineConfig::kFirstSlot + 2 * card, number, config.properties)});
  }
  return words;
}

Result<FileDescriptor> make_firmware() {
  FileDescriptor file(::memfd_create("pollux-firmware", MFD_CLOEXEC));
  // cli; hlt; jump back to the hlt if anything wakes the processor.
  constexpr std::array<unsigned char, 4> kCode{0xFA, 0xF4, 0xEB, 0xFD};
  if (!file || ::ftruncate(file.get(), kFirmwareSize) != 0 ||
      ::pwrite(file.get(), kCode.data(), kCode.size(), kResetVector) != ssize_t{kCode.size()}) {
    return fail_errno(ErrorCode::io_error, "the file of QEMU's firmware cannot be created", errno, "free memory");
  }
  return file;
}

namespace {

/// A known error message of QEMU, with the error code and hint for it.
struct KnownError {
  std::string_view text;
  ErrorCode code;
  std::string_view hint;
};

constexpr std::array kKnownErrors{
    KnownError{"'ivshmem-doorbell' is not a valid device model", ErrorCode::not_supported,
               "install a QEMU that has ivshmem-doorbell (Debian: package qemu-system-x86), or select it with "
               "qtest:0?qemu=PATH"},
    KnownError{"unsupported machine type", ErrorCode::not_supported,
               "select a qemu-system-x86_64 with qtest:0?qemu=PATH: the q35 machine is needed"},
    KnownError{"invalid accelerator", ErrorCode::not_supported, "select a QEMU that has TCG with qtest:0?qemu=PATH"},
    KnownError{"Cannot allocate memory", ErrorCode::no_memory,
               "free memory or address space (`ulimit -v unlimited`), or set HugePages::never"},
    KnownError{"Too many open files", ErrorCode::io_error, "raise the limit of open files (ulimit -n)"},
};

}  // namespace

Result<LaunchedQemu> launch(const Target& target, int memory, std::uint64_t ram) {
  auto qemu = find_program(target.qemu);
  if (!qemu) {
    return fail(qemu.error().code, fmt::format("{}: {}", target.uri, qemu.error().what), qemu.error().hint);
  }
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(ErrorCode::io_error, fmt::format("{}: the socket for QEMU cannot be created", target.uri), errno);
  }
  LaunchedQemu launched;
  launched.socket = FileDescriptor(ends[0]);
  const FileDescriptor qemu_end(ends[1]);
  auto firmware = make_firmware();
  if (!firmware) return pass_on(std::move(firmware));
  auto doorbells = DoorbellServer::create(MachineConfig::kCards, kVectors);
  if (!doorbells) return pass_on(std::move(doorbells));
  launched.doorbells = *std::move(doorbells);
  const MachineConfig config{.qemu = *qemu,
                             .card = std::string(target.card->device),
                             .properties = target.properties,
                             .tap = target.tap,
                             .vhost_user = target.vhost_user,
                             .queues = target.queues,
                             .socket = qemu_end.get(),
                             .memory = memory,
                             .ram = ram,
                             .firmware = firmware->get(),
                             .doorbells = launched.doorbells.client(),
                             .doorbell_vectors = kVectors,
                             .first_card = target.number & ~1U};
  auto process =
      Process::start(command_line(config), {config.socket, config.memory, config.firmware, config.doorbells});
  if (!process) {
    return fail(process.error().code, fmt::format("{}: {}", target.uri, process.error().what), process.error().hint);
  }
  launched.process = *std::move(process);
  launched.doorbells.close_client();
  return launched;
}

Error explain_exit(const std::string& uri, const Process& process) {
  std::string output = process.last_output();
  std::ranges::replace(output, '\n', ' ');  // an error is one line
  Error error{
      .code = ErrorCode::io_error,
      .what = fmt::format("{}: QEMU ended with {}{}{}", uri, process.exit_text(), output.empty() ? "" : ": ", output),
      .hint = output.empty() ? "it printed nothing: is it a QEMU? select another with qtest:0?qemu=PATH"
                             : "see its message; select another QEMU with qtest:0?qemu=PATH"};
  for (const KnownError& known : kKnownErrors) {
    if (output.find(known.text) == std::string::npos) continue;
    error.code = known.code;
    error.hint = known.hint;
    break;
  }
  for (const CardModel& model : kCardModels) {
    if (output.find(fmt::format("'{}' is not a valid device model", model.device)) == std::string::npos) continue;
    error.code = ErrorCode::not_supported;
    error.hint = model.hint;
  }
  return error;
}

}  // namespace pollux::qtest
