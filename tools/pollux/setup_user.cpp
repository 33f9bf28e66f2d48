// SPDX-License-Identifier: BSD-3-Clause
// `pollux setup-user`: lets an ordinary user open every port that is bound to vfio-pci, also after a restart.
#include <fmt/format.h>
#include "common/cli.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <memory>
#include <ostream>
#include <sstream>
#include <system_error>

#include "base/shell_words.hpp"
#include "commands.hpp"
#include "host/handover.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

namespace fs = std::filesystem;

struct SetupOptions {
  std::string user;
  std::string group = "pollux";
  unsigned ports = 4;
  bool remove = false;
  bool dry_run = false;
  bool yes = false;
};

/// The first line of each file: only files with it are replaced or removed.
constexpr std::string_view kMark = "# Written by `pollux setup-user`; `pollux setup-user --remove` removes it.\n";

struct SetupFile {
  fs::path path;
  std::string text;
};

/// Group files are those of VFIO's groups and, since Linux 6.6, of its devices; groups without an IOMMU are not among
/// them: they stay with root. Linux, drivers/vfio/group.c and drivers/vfio/device_cdev.c.
std::string udev_rules(const std::string& group) {
  return fmt::format(
      "{0}# The group {1} may open the ports that are bound to vfio-pci.\n"
      "SUBSYSTEM==\"vfio\", KERNEL==\"[0-9]*\", GROUP=\"{1}\", MODE=\"0660\"\n"
      "SUBSYSTEM==\"vfio-dev\", GROUP=\"{1}\", MODE=\"0660\"\n"
      "SUBSYSTEM==\"misc\", KERNEL==\"iommu\", GROUP=\"{1}\", MODE=\"0660\"\n",
      kMark, group);
}

/// limits.conf(5): memlock is in KiB.
std::string memlock_limit(const SetupOptions& options) {
  const host::MemlockDemand demand{.ports = options.ports};
  return fmt::format("{}# Enough for {} ports with 16,384 mbufs each.\n@{} - memlock {}\n", kMark, options.ports,
                     options.group, demand.bytes() / 1024);
}

std::array<SetupFile, 2> files_of(const Environment& environment, const SetupOptions& options) {
  const fs::path& etc = environment.paths.etc;
  return {SetupFile{etc / "udev/rules.d/60-pollux.rules", udev_rules(options.group)},
          SetupFile{etc / "security/limits.d/pollux.conf", memlock_limit(options)}};
}

/// What has to be run after the files were written or removed.
std::vector<Invocation> commands_of(const SetupOptions& options) {
  std::vector<Invocation> commands;
  if (!options.remove) {
    commands.push_back({{"groupadd", "--system", "--force", options.group}});
    commands.push_back({{"usermod", "--append", "--groups", options.group, options.user}});
  } else if (!options.user.empty()) {
    commands.push_back({{"gpasswd", "--delete", options.user, options.group}});
  }
  commands.push_back({{"udevadm", "control", "--reload"}});
  commands.push_back({{"udevadm", "trigger", "--action=change", "--subsystem-match=vfio", "--subsystem-match=vfio-dev",
                       "--subsystem-match=misc"}});
  return commands;
}

/// Whether a name can stand in the files as it is. useradd(8) and groupadd(8) make only such. udev and usermod take one
/// of digits alone for a number: that of root's group, perhaps.
bool is_plain_name(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !name.empty() && name.size() <= 32 && name.front() != '-' && std::all_of(name.begin(), name.end(), fits) &&
         name.find_first_not_of("0123456789") != std::string::npos;
}

Result<void> check_names(const SetupOptions& options) {
  for (const std::string& name : {options.group, options.user}) {
    if (name.empty() && options.remove) continue;
    if (!is_plain_name(name)) {
      return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a name of a user or group", name),
                  "use letters, digits, '_', '-' and '.', and not digits alone");
    }
  }
  if (options.user.empty()) return {};
  if (auto user = host::find_user(options.user); !user) return pass_on(std::move(user));
  return {};
}

/// Error: `busy` if somebody else wrote the file.
Result<void> check_own(const SetupFile& file) {
  std::error_code ignored;
  if (!fs::exists(file.path, ignored)) return {};
  std::ostringstream text;
  text << std::ifstream(file.path).rdbuf();
  if (text.str().starts_with(kMark)) return {};
  return fail(ErrorCode::busy, fmt::format("{} exists and is not of `pollux setup-user`", file.path.string()),
              fmt::format("move it away first: mv {0} {0}.old", shell_quoted(file.path.string())));
}

tl::unexpected<Error> cannot_change(const fs::path& file, int error) {
  const bool refused = error == EACCES || error == EPERM || error == EROFS;
  return fail_errno(refused ? ErrorCode::permission_denied : ErrorCode::io_error, "cannot write " + file.string(),
                    error, refused ? "run the command as root, with sudo" : "is the disk full? df /etc");
}

/// Replaces the file as a whole, so that no reader sees a part of it.
Result<void> write_file(const SetupFile& file) {
  std::error_code error;
  fs::create_directories(file.path.parent_path(), error);
  if (error) return cannot_change(file.path, error.value());
  const fs::path partial = file.path.string() + ".new";
  errno = 0;
  {
    std::ofstream out(partial, std::ios::trunc);
    out << file.text << std::flush;
    if (!out) return cannot_change(partial, errno != 0 ? errno : EIO);
  }
  fs::rename(partial, file.path, error);
  if (error) return cannot_change(file.path, error.value());
  return {};
}

Result<void> remove_file(const SetupFile& file) {
  std::error_code error;
  fs::remove(file.path, error);
  if (error) return cannot_change(file.path, error.value());
  return {};
}

void show(const Environment& environment, const SetupOptions& options) {
  for (const SetupFile& file : files_of(environment, options)) {
    if (options.remove) {
      environment.out << "remove " << file.path.string() << '\n';
    } else {
      environment.out << "write " << file.path.string() << ":\n";
      std::istringstream lines(file.text);
      for (std::string line; std::getline(lines, line);) environment.out << "    " << line << '\n';
    }
  }
  for (const Invocation& command : commands_of(options)) environment.out << "run " << shell_text(command) << '\n';
  environment.out << std::flush;
}

int carry_out(const Environment& environment, const SetupOptions& options) {
  for (const SetupFile& file : files_of(environment, options)) {
    if (auto done = options.remove ? remove_file(file) : write_file(file); !done) {
      return report(environment, done.error());
    }
  }
  for (const Invocation& command : commands_of(options)) {
    const int status = environment.run_command(command);
    if (status == 0) continue;
    return report(environment,
                  Error{ErrorCode::io_error, fmt::format("'{}' ended with status {}", shell_text(command), status),
                        "fix what it reports, and run the same command again"});
  }
  if (options.remove) {
    environment.out << fmt::format("done; the group itself stays: groupdel {}\n", options.group);
  } else {
    environment.out << fmt::format("done; it holds from {}'s next login on\n", options.user);
  }
  return kSuccess;
}

int run_setup(const Environment& environment, const SetupOptions& options) {
  if (auto named = check_names(options); !named) return report(environment, named.error());
  for (const SetupFile& file : files_of(environment, options)) {
    if (auto own = check_own(file); !own) return report(environment, own.error());
  }
  show(environment, options);
  if (options.dry_run) return kSuccess;
  if (!environment.run_command) return kFailure;
  if (!options.yes && (!environment.confirm || !environment.confirm("Do this?"))) {
    environment.err << "pollux: nothing was changed\n  hint: confirm, or give --yes\n";
    return kFailure;
  }
  return carry_out(environment, options);
}

}  // namespace

void add_setup_user(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<SetupOptions>();
  cli::App* command =
      app.add_subcommand("setup-user", "Let an ordinary user open all bound ports: udev rule, group, memlock limit");
  command->add_option("user", options->user, "The user");
  command->add_option("--group", options->group, "The group that may open the ports")->capture_default_str();
  command->add_option("--ports", options->ports, "How many ports the memlock limit is for")
      ->check(cli::range(1U, 1024U))
      ->capture_default_str();
  command->add_flag("--remove", options->remove, "Undo it; with a user, take this user out of the group");
  command->add_flag("--dry-run", options->dry_run, "Only show what would be written and run");
  command->add_flag("--yes", options->yes, "Do not ask");
  command->footer(
      "pollux setup-user --dry-run alice\n"
      "sudo pollux setup-user alice\n"
      "sudo pollux setup-user --remove alice\n"
      "Each step is shown before it is done. Members of the group can open every device that is bound to vfio-pci; "
      "the\n"
      "IOMMU confines what the device can access. Without an IOMMU only root can open a port. Needs udev.");
  command->callback([options, &environment, &exit_code] {
    if (options->user.empty() && !options->remove) throw cli::UsageError::missing("user");
    exit_code = run_setup(environment, *options);
  });
}

}  // namespace pollux::tool
