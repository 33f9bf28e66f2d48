// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "environment.hpp"

namespace pollux::cli {
class App;
}

/// One function per subcommand: it declares the subcommand's arguments and its action, which stores the exit code in
/// `exit_code`. `environment` and `exit_code` outlive `app`.
namespace pollux::tool {

void add_addr(cli::App& app, const Environment& environment, int& exit_code);
void add_capture(cli::App& app, const Environment& environment, int& exit_code);
void add_bench(cli::App& app, const Environment& environment, int& exit_code);
void add_card(cli::App& app, const Environment& environment, int& exit_code);
void add_completion(cli::App& app, const Environment& environment, int& exit_code);
void add_doctor(cli::App& app, const Environment& environment, int& exit_code);
void add_ethtool(cli::App& app, const Environment& environment, int& exit_code);
void add_keeper(cli::App& app, const Environment& environment, int& exit_code);
void add_led(cli::App& app, const Environment& environment, int& exit_code);
void add_link(cli::App& app, const Environment& environment, int& exit_code);
void add_manual(cli::App& app, const Environment& environment, int& exit_code);
void add_setup_user(cli::App& app, const Environment& environment, int& exit_code);
void add_list(cli::App& app, const Environment& environment, int& exit_code);
void add_phy(cli::App& app, const Environment& environment, int& exit_code);
void add_bind(cli::App& app, const Environment& environment, int& exit_code);
void add_unbind(cli::App& app, const Environment& environment, int& exit_code);
void add_nvm(cli::App& app, const Environment& environment, int& exit_code);
void add_regs(cli::App& app, const Environment& environment, int& exit_code);
void add_selftest(cli::App& app, const Environment& environment, int& exit_code);
void add_wol(cli::App& app, const Environment& environment, int& exit_code);
void add_vf(cli::App& app, const Environment& environment, int& exit_code);
void add_xdp_helper(cli::App& app, const Environment& environment, int& exit_code);
void add_time(cli::App& app, const Environment& environment, int& exit_code);
/// Only in builds with prometheus-cpp (POLLUX_HAS_EXPORTER).
void add_exporter(cli::App& app, const Environment& environment, int& exit_code);
/// Only in builds with ncurses (POLLUX_HAS_TOP).
void add_top(cli::App& app, const Environment& environment, int& exit_code);
void add_ports(cli::App& app, const Environment& environment, int& exit_code);
void add_settings(cli::App& app, const Environment& environment, int& exit_code);
void add_stats(cli::App& app, const Environment& environment, int& exit_code);
void add_info(cli::App& app, const Environment& environment, int& exit_code);

}  // namespace pollux::tool
