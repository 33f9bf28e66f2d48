// SPDX-License-Identifier: BSD-3-Clause
#include "ports/xdp/shared_program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/shell_words.hpp"
#include "ports/xdp/bpf_calls.hpp"
#include "ports/xdp/bpf_code.hpp"
#include "ports/xdp/dispatcher.hpp"
#include "ports/xdp/links.hpp"

namespace pollux::xdp {
namespace {

/// That of libxdp's own program for AF_XDP sockets.
constexpr std::uint32_t kPriority = 20;
/// Others may exchange the dispatcher meanwhile.
constexpr int kAttempts = 10;

/// The variable is libxdp's.
std::string folder() {
  const char* const other = ::secure_getenv("LIBXDP_BPFFS");
  return std::string(other != nullptr ? other : "/sys/fs/bpf") + "/xdp";
}

constexpr const char* kSharePrefix = "pollux-";

std::string share_folder(std::uint32_t sockets) { return fmt::format("{}/{}{}", folder(), kSharePrefix, sockets); }

FileDescriptor open_folder(const std::string& path) {
  return FileDescriptor(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/// Held while dispatchers are read and exchanged.
FileDescriptor lock_all() {
  FileDescriptor all = open_folder(folder());
  if (all && ::flock(all.get(), LOCK_EX) != 0) return {};
  return all;
}

/// Whether a process has the program with one of these maps.
bool is_owned(std::span<const std::uint32_t> maps) {
  return std::ranges::any_of(maps, [](std::uint32_t map) {
    const FileDescriptor share = open_folder(share_folder(map));
    return share && ::flock(share.get(), LOCK_EX | LOCK_NB) != 0;
  });
}

bool is_dead(const Component& component) { return component.name == kOwnName && !is_owned(component.maps); }

/// Where the programs of a dispatcher, and what keeps them in it, are pinned.
struct Pins {
  unsigned interface;
  std::uint32_t dispatcher;

  [[nodiscard]] std::string path() const { return fmt::format("{}/dispatch-{}-{}", folder(), interface, dispatcher); }
  [[nodiscard]] std::string of(std::size_t place, const char* what) const {
    return fmt::format("{}/prog{}-{}", path(), place, what);
  }
  void remove() const {
    for (std::size_t place = 0; place < kMaxComponents; ++place) {
      ::unlink(of(place, "link").c_str());
      ::unlink(of(place, "prog").c_str());
    }
    ::rmdir(path().c_str());
  }
  [[nodiscard]] int add(const std::vector<Component>& components) const {
    if (::mkdir(path().c_str(), S_IRWXU) != 0) return errno;
    for (std::size_t place = 0; place < components.size(); ++place) {
      for (const auto& [descriptor, what] :
           {std::pair(components[place].link.get(), "link"), std::pair(components[place].program.get(), "prog")}) {
        const std::string name = of(place, what);
        bpf_attr attributes{};
        attributes.pathname = reinterpret_cast<std::uintptr_t>(name.c_str());
        attributes.bpf_fd = static_cast<std::uint32_t>(descriptor);
        if (bpf(BPF_OBJ_PIN, attributes) != 0) return errno;
      }
    }
    return 0;
  }
  [[nodiscard]] FileDescriptor program(std::size_t place) const {
    const std::string name = of(place, "prog");
    bpf_attr attributes{};
    attributes.pathname = reinterpret_cast<std::uintptr_t>(name.c_str());
    return FileDescriptor(bpf(BPF_OBJ_GET, attributes));
  }
};

/// Of a folder with that name; nullopt if it is another one.
std::optional<Pins> pins_in(const std::string& name) {
  constexpr std::string_view kPrefix = "dispatch-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  Pins pins{};
  const char* const end = name.data() + name.size();
  const auto [middle, error] = std::from_chars(name.data() + kPrefix.size(), end, pins.interface);
  if (error != std::errc() || middle == end || *middle != '-') return std::nullopt;
  const auto [rest, bad] = std::from_chars(middle + 1, end, pins.dispatcher);
  if (bad != std::errc() || rest != end) return std::nullopt;
  return pins;
}

/// Whether the pins are all that is left of an interface that was deleted, or is in another network namespace, where
/// the dispatcher without them passes all frames. Those of others stay: they may be at work there.
bool is_orphan(const Pins& pins, std::span<const LinkEntry> links) {
  if (std::ranges::find(links, pins.interface, &LinkEntry::index) != links.end()) return false;
  bool any = false;
  for (std::size_t place = 0; place < kMaxComponents; ++place) {
    const ProgramInfo about = info_of(pins.program(place));
    if (about.id == 0) continue;
    if (about.name != kOwnName || is_owned(about.maps)) return false;
    any = true;
  }
  return any;
}

/// The dispatcher of an interface and where it runs; without a program if nothing is attached.
struct Attached {
  Dispatcher dispatcher;
  Attach where = Attach::native;
};

tl::expected<Attached, int> read_attached(unsigned interface) {
  const auto links = read_links();
  const auto link = std::ranges::find(links, interface, &LinkEntry::index);
  if (link == links.end()) return tl::unexpected(ENODEV);
  if (link->program == 0) return Attached{};
  auto dispatcher = read_dispatcher(link->program);
  if (!dispatcher) return tl::unexpected(dispatcher.error());
  const Pins pins{interface, dispatcher->id};
  for (std::size_t place = 0; place < dispatcher->config.count; ++place) {
    Component component{.program = pins.program(place), .code = {}, .name = {}, .maps = {}, .link = {}};
    ProgramInfo about = info_of(component.program);
    if (about.id == 0) return tl::unexpected(EBUSY);
    component.id = about.id;
    component.name = std::move(about.name);
    component.maps = std::move(about.maps);
    component.priority = dispatcher->config.priorities[place];
    component.chain_actions = dispatcher->config.chain_actions[place];
    component.flags = dispatcher->config.flags[place];
    dispatcher->components.push_back(std::move(component));
  }
  return Attached{*std::move(dispatcher), link->is_generic ? Attach::generic : Attach::native};
}

/// Puts a dispatcher with `components` in the place of the one that was read; none if there are no components. Returns
/// 0 or errno: EEXIST or EBUSY if somebody else was faster.
int exchange(unsigned interface, const Attached& old, Attach where, std::vector<Component> components) {
  const std::uint32_t mode = where == Attach::native ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
  const int before = old.dispatcher.program.get();
  const std::uint32_t flags = mode | (before >= 0 ? XDP_FLAGS_REPLACE : XDP_FLAGS_UPDATE_IF_NOEXIST);
  const Pins old_pins{interface, old.dispatcher.id};
  int error = 0;
  if (components.empty()) {
    error = set_program(interface, -1, before, flags);
  } else {
    const auto made = make_dispatcher(std::move(components), old.dispatcher.config.version);
    if (!made) return made.error();
    const Pins pins{interface, made->id};
    error = pins.add(made->components);
    if (error == 0) error = set_program(interface, made->program.get(), before, flags);
    if (error != 0) pins.remove();
  }
  if (error == 0 && before >= 0) old_pins.remove();
  return error;
}

/// Exchanges the dispatcher for one with what `edit` makes of the components; it returns false to leave it.
template <class Edit>
int change(unsigned interface, std::optional<Attach> where, const Edit& edit) {
  const FileDescriptor all = lock_all();
  if (!all) return errno;
  int error = 0;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto old = read_attached(interface);
    if (!old) return old.error() == EBUSY ? EEXIST : old.error();
    if (where && old->dispatcher.program && *where != old->where) return EEXIST;
    std::vector<Component> components = std::exchange(old->dispatcher.components, {});
    if (!edit(components)) return 0;
    error = exchange(interface, *old, where.value_or(old->where), std::move(components));
    if (error != EEXIST && error != EBUSY) return error;
  }
  return error;
}

/// Removes the folders of processes that have ended, and of interfaces that are gone.
void remove_unowned_folders() {
  const FileDescriptor all = lock_all();
  const auto links = read_links();  // never empty: there is a loopback
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder(), error)) {
    const std::string name = entry.path().filename().string();
    if (const auto pins = pins_in(name); pins && !links.empty() && is_orphan(*pins, links)) pins->remove();
    if (!name.starts_with(kSharePrefix)) continue;
    const FileDescriptor share = open_folder(entry.path());
    if (share && ::flock(share.get(), LOCK_EX | LOCK_NB) == 0) ::rmdir(entry.path().c_str());
  }
}

tl::unexpected<Error> share_error(const std::string& what, int error) {
  if (error == EPERM || error == EACCES) {
    return fail_errno(ErrorCode::permission_denied, what, error, "run as root: share needs CAP_SYS_ADMIN");
  }
  return fail_errno(ErrorCode::not_supported, what, error,
                    "leave out share, or boot a kernel of 5.10 or newer in which programs replace functions of others "
                    "(CONFIG_DEBUG_INFO_BTF=y)");
}

/// Whether the kernel replaces a dispatcher's function, and lets this process find dispatchers. Returns 0 or errno.
int try_dispatcher() {
  BpfCode code;
  code.move(BPF_REG_0, XDP_PASS);
  code.exit();
  const auto pass = std::move(code).finish();
  std::vector<Component> one(1);
  one.front().code = pass;
  const auto made = make_dispatcher(std::move(one), kDispatcherVersion);
  if (!made) return made.error();
  return program_by_id(made->id) ? 0 : errno;
}

}  // namespace

Result<FileDescriptor> own_share(const std::string& name, std::uint32_t sockets) {
  const std::string parent = folder();
  const std::string files = parent.substr(0, parent.rfind('/'));
  struct statfs about {};
  if (::statfs(files.c_str(), &about) != 0 || static_cast<std::uint32_t>(about.f_type) != BPF_FS_MAGIC) {
    return fail(ErrorCode::not_supported, fmt::format("{}: there is no bpf file system at {}", name, files),
                fmt::format("as root: mount -t bpf bpf {}", shell_quoted(files)));
  }
  const std::string what = fmt::format("{}: cannot share the interface with other XDP programs", name);
  if (const int error = try_dispatcher(); error != 0) return share_error(what, error);
  ::mkdir(parent.c_str(), S_IRWXU);
  const FileDescriptor all = lock_all();
  const std::string path = share_folder(sockets);
  ::mkdir(path.c_str(), S_IRWXU);
  FileDescriptor share = open_folder(path);
  if (!all || !share || ::flock(share.get(), LOCK_EX | LOCK_NB) != 0) return share_error(what, errno);
  return share;
}

int attach_shared(unsigned interface, Attach where, std::span<const bpf_insn> code, std::uint32_t sockets,
                  bool takes_chains) {
  return change(interface, where, [&](std::vector<Component>& components) {
    std::erase_if(components, [=](const Component& component) {
      return std::ranges::find(component.maps, sockets) != component.maps.end();
    });
    Component own{.program = {}, .code = code, .name = kOwnName, .maps = {}, .link = {}};
    own.priority = kPriority;
    own.chain_actions = 1U << XDP_PASS;
    own.flags = takes_chains ? kHasFrags : 0;
    const auto next = std::ranges::find_if(components, [&](const Component& component) {
      return std::tie(component.priority, component.name) > std::tie(own.priority, own.name);
    });
    components.insert(next, std::move(own));
    return true;
  });
}

std::vector<std::uint32_t> find_remains(unsigned interface) {
  std::vector<std::uint32_t> found;
  const FileDescriptor all = lock_all();
  const auto attached = read_attached(interface);
  if (!all || !attached) return found;
  for (const Component& component : attached->dispatcher.components) {
    if (is_dead(component)) found.push_back(component.id);
  }
  return found;
}

int remove_remains(unsigned interface) {
  const int error = change(interface, std::nullopt,
                           [](std::vector<Component>& components) { return std::erase_if(components, is_dead) != 0; });
  remove_unowned_folders();
  return error;
}

}  // namespace pollux::xdp
