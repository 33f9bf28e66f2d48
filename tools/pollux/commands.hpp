// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "environment.hpp"

namespace CLI {
class App;
}

/// One function per subcommand: it declares the subcommand's arguments and its action, which stores the exit code in
/// `exit_code`. `environment` and `exit_code` outlive `app`.
namespace pollux::tool {

void add_addr(CLI::App& app, const Environment& environment, int& exit_code);
void add_capture(CLI::App& app, const Environment& environment, int& exit_code);
void add_bench(CLI::App& app, const Environment& environment, int& exit_code);
void add_card(CLI::App& app, const Environment& environment, int& exit_code);
void add_completion(CLI::App& app, const Environment& environment, int& exit_code);
void add_doctor(CLI::App& app, const Environment& environment, int& exit_code);
void add_ethtool(CLI::App& app, const Environment& environment, int& exit_code);
void add_led(CLI::App& app, const Environment& environment, int& exit_code);
void add_link(CLI::App& app, const Environment& environment, int& exit_code);
void add_manual(CLI::App& app, const Environment& environment, int& exit_code);
void add_setup_user(CLI::App& app, const Environment& environment, int& exit_code);
void add_list(CLI::App& app, const Environment& environment, int& exit_code);
void add_phy(CLI::App& app, const Environment& environment, int& exit_code);
void add_bind(CLI::App& app, const Environment& environment, int& exit_code);
void add_unbind(CLI::App& app, const Environment& environment, int& exit_code);
void add_nvm(CLI::App& app, const Environment& environment, int& exit_code);
void add_regs(CLI::App& app, const Environment& environment, int& exit_code);
void add_selftest(CLI::App& app, const Environment& environment, int& exit_code);
void add_wol(CLI::App& app, const Environment& environment, int& exit_code);
void add_vf(CLI::App& app, const Environment& environment, int& exit_code);
void add_time(CLI::App& app, const Environment& environment, int& exit_code);
/// Only in builds with prometheus-cpp (POLLUX_HAS_EXPORTER).
void add_exporter(CLI::App& app, const Environment& environment, int& exit_code);
/// Only in builds with ncurses (POLLUX_HAS_TOP).
void add_top(CLI::App& app, const Environment& environment, int& exit_code);
void add_ports(CLI::App& app, const Environment& environment, int& exit_code);
void add_stats(CLI::App& app, const Environment& environment, int& exit_code);
void add_info(CLI::App& app, const Environment& environment, int& exit_code);

}  // namespace pollux::tool
