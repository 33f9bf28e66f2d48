// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include "common/cli.hpp"

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>

#include "commands.hpp"
#include "pci_facts.hpp"
#include "pollux/net/settings.hpp"
#include "pollux/net/virtual_functions.hpp"
#include "report.hpp"
#include "vf_count.hpp"
#include "vf_serve.hpp"

namespace pollux::tool {
namespace {

struct VfOptions {
  std::string port;
  unsigned count = 0;
  bool json = false;
};

Result<void> check_opens(const Environment& environment, const std::string& port) {
  if (environment.open_port != nullptr) return {};
  return fail(ErrorCode::not_supported, fmt::format("{}: ports cannot be opened here", port), "use the pollux command");
}

void print(const Environment& environment, const VfOptions& options, unsigned enabled, unsigned possible) {
  if (options.json) {
    const nlohmann::json json{{"port", options.port}, {"functions", enabled}, {"max_functions", possible}};
    environment.out << json.dump(2, ' ', true, kReplaceBadText) << '\n';
  } else {
    environment.out << fmt::format("{}: {} of {} virtual functions\n", options.port, enabled, possible);
  }
}

/// Opens the port, sets the number of its virtual functions if `count` has one, and prints it.
int run_vf(const Environment& environment, const VfOptions& options, std::optional<unsigned> count) {
  if (auto opens = check_opens(environment, options.port); !opens) return report(environment, opens.error());
  auto port = environment.open_port(options.port);
  if (!port) return report(environment, port.error());
  const auto functions = port->capability<VirtualFunctions>();
  if (!functions) return report(environment, port->lacks(VirtualFunctions::kId));
  if (count) {
    if (auto set = change_functions(*port, *count); !set) return report(environment, set.error());
  }
  const auto enabled = static_cast<unsigned>(port->settings().functions.size());
  print(environment, options, enabled, functions->max_functions());
  return kSuccess;
}

template <class Options>
void add_common(cli::App& command, const std::shared_ptr<Options>& options) {
  command.add_option("port", options->port, "The physical function, such as vfio:0000:01:00.0?vf_token=UUID")
      ->required();
  command.add_flag("--json", options->json, "Print JSON");
}

void add_serve(cli::App& command, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<VfServeOptions>();
  cli::App* const serve = command.add_subcommand(
      "serve", "Create virtual functions, give them settings, and answer their drivers until Ctrl-C");
  serve->add_option("count", options->count, "How many")->required()->check(cli::range(1U, 7U));
  add_common(*serve, options);
  serve->add_option("--vf", options->settings,
                    "NUMBER:SETTING=VALUE,...: settings of one function, from 0 on; can be repeated. mac=ADDRESS, "
                    "vlan=1 to 4094, qos=0 to 7, rate=Mb/s, spoofcheck=on|off, trust=on|off, link=auto|off");
  serve->add_option("--socket", options->sockets,
                    "NUMBER=SOCKET: export a function of an in-process card to a virtual machine by the vfio-user "
                    "protocol, as 'pollux card' does; can be repeated");
  serve->footer(
      "Examples:\n"
      "  pollux vf serve 2 'vfio:0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d' \\\n"
      "      --vf 0:mac=02:00:00:00:00:01,vlan=7,rate=100 --vf 1:trust=on\n"
      "  pollux vf serve 1 sim:0 --socket 0=/tmp/function --json\n"
      "Prints a line for each event: a function's driver starts or ends, a request is refused, the link changes. With\n"
      "--json each is an object. The functions work only while this command runs. What is sent to the physical "
      "function\n"
      "itself is dropped.");
  serve->callback([options, &environment, &exit_code] { exit_code = run_vf_serve(environment, *options); });
}

}  // namespace

void add_vf(cli::App& app, const Environment& environment, int& exit_code) {
  auto options = std::make_shared<VfOptions>();
  cli::App* const command = app.add_subcommand("vf", "Show, create, serve or remove the virtual functions of a card");
  command->require_subcommand(1);
  command->footer(
      "Examples:\n"
      "  pollux vf create 2 'vfio:0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d'\n"
      "  pollux vf serve 2 'vfio:0000:01:00.0?vf_token=14d63f20-8445-11ea-8900-1f9ce7d5650d' --vf 0:vlan=7\n"
      "  pollux vf list 0000:01:00.0\n"
      "VFIO keeps the functions when the command ends (module parameter enable_sriov=1); those of sim: end with it.\n"
      "Addresses, VLANs, rates and trust are in force only while a program has the port open, and only that program\n"
      "can set them. 'pollux vf serve' is such a program.");
  cli::App* const list = command->add_subcommand("list", "Show how many there are");
  add_common(*list, options);
  list->footer("pollux vf list 0000:01:00.0\npollux vf list sim:0 --json");
  list->callback([options, &environment, &exit_code] { exit_code = run_vf(environment, *options, std::nullopt); });
  cli::App* const create = command->add_subcommand("create", "Create virtual functions, instead of those that exist");
  create->add_option("count", options->count, "How many")->required()->check(cli::range(1U, 7U));
  add_common(*create, options);
  create->footer("pollux vf create 2 sim:0");
  create->callback([options, &environment, &exit_code] { exit_code = run_vf(environment, *options, options->count); });
  cli::App* const remove = command->add_subcommand("remove", "Remove all virtual functions");
  add_common(*remove, options);
  remove->footer("pollux vf remove 0000:01:00.0");
  remove->callback([options, &environment, &exit_code] { exit_code = run_vf(environment, *options, 0U); });
  add_serve(*command, environment, exit_code);
}

}  // namespace pollux::tool
