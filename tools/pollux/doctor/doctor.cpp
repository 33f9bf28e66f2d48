// SPDX-License-Identifier: BSD-3-Clause
// `pollux doctor`: finds what stands between the machine and a running port, and says or does what fixes it.
#include "common/cli.hpp"

#include <memory>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "doctor/diagnosis.hpp"
#include "doctor/interface_checks.hpp"
#include "host/names.hpp"
#include "pci_facts.hpp"
#include "ports/xdp/interface.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace doctor {
namespace {

struct DoctorOptions {
  std::string port;
  std::vector<std::string> with;
  std::string user;
  bool start = false;
  bool fix = false;
  bool yes = false;
  bool json = false;
};

Result<Caller> find_caller(const Environment& environment, const DoctorOptions& options) {
  if (!options.user.empty()) return caller_named(options.user);
  return environment.caller != nullptr ? *environment.caller : this_caller(environment.paths);
}

Result<Subject> read_subject(const Environment& environment, const DoctorOptions& options) {
  auto caller = find_caller(environment, options);
  if (!caller) return pass_on(std::move(caller));
  Subject subject{environment, *std::move(caller), {}, options.port, options.start};
  if (options.port.empty()) return subject;
  constexpr std::string_view kScheme = "xdp:";
  if (options.port.starts_with(kScheme)) {
    subject.interface = options.port.substr(kScheme.size(), options.port.find('?') - kScheme.size());
    if (const auto found = xdp::Interface::find(subject.interface); !found) return tl::unexpected<Error>(found.error());
    return subject;
  }
  std::vector<std::string> ports{options.port};
  ports.insert(ports.end(), options.with.begin(), options.with.end());
  auto addresses = parse_addresses(ports);
  if (!addresses) {
    addresses.error().hint += "; or give an interface of the kernel, such as xdp:eth0";
    return pass_on(std::move(addresses));
  }
  host::Names names(environment.paths.pci_ids);
  for (const pci::Address& address : *addresses) {
    auto device = pci::read_device(environment.paths, address);
    if (!device) return pass_on(std::move(device));
    names.name(*device);
    if (subject.device) {
      subject.others.push_back(address);
    } else {
      subject.device = *std::move(device);
    }
  }
  return subject;
}

int run_doctor(const Environment& environment, const DoctorOptions& options) {
  if (options.fix && !environment.run_command) return kFailure;
  const auto read = [&] { return read_subject(environment, options); };
  const auto subject = read();
  if (!subject) {
    report(environment, subject.error());
    return kUsage;  // 1 says that there are errors
  }
  Diagnosis diagnosis = diagnose(*subject);
  std::vector<Attempt> attempts;
  if (options.fix) attempts = fix(read, diagnosis, environment, options.yes);
  if (options.json) {
    environment.out << to_json(*subject, diagnosis, attempts).dump(2, ' ', true, kReplaceBadText) << '\n';
  } else {
    print_diagnosis(*subject, diagnosis);
  }
  return count(diagnosis, State::error) == 0 ? kSuccess : kFailure;
}

}  // namespace

Diagnosis diagnose(const Subject& subject) {
  Diagnosis diagnosis;
  for (const Check& check : subject.interface.empty() ? all_checks() : interface_checks()) {
    if (subject.interface.empty() && check.scope == Scope::port && !subject.device) continue;
    diagnosis.push_back({&check, check.run(subject)});
  }
  return diagnosis;
}

}  // namespace doctor

void add_doctor(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<doctor::DoctorOptions>();
  cli::App* command = app.add_subcommand("doctor", "Find what keeps this machine or a port from running, and fix it");
  cli::Option* port = command->add_option(
      "port", options->port, "A port, such as 0000:01:00.0 or xdp:eth0; without it, only the machine is checked");
  command->add_option("--with", options->with, "Another port that will be bound together with it; may be repeated")
      ->needs(port);
  command->add_option("--user", options->user, "Check what this user may do, instead of yourself");
  command->add_flag("--start", options->start, "Also open and start the port, which resets the card, to see its link");
  const cli::Option* const fix =
      command->add_flag("--fix", options->fix, "Run the commands that take nothing from the host, each after asking");
  command->add_flag("--yes", options->yes, "With --fix: do not ask")->needs(fix);
  command->add_flag("--json", options->json, "Print JSON");
  command->footer(
      "pollux doctor\n"
      "pollux doctor 0000:01:00.0\n"
      "pollux doctor xdp:eth0\n"
      "sudo pollux doctor --fix --user alice 0000:01:00.0\n"
      "For each check: ok, warning (the port runs, but worse), error (it does not run) or unknown; what was found, "
      "why\n"
      "it matters, and the command that fixes it. The status is 0 without errors, 1 with errors, and 2 if the port\n"
      "does not exist.");
  command->callback([options, &environment, &exit_code] { exit_code = doctor::run_doctor(environment, *options); });
}

}  // namespace pollux::tool
