// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "confirm/guard.hpp"
#include "host/binding.hpp"
#include "pollux/mem/context.hpp"
#include "unit/host/fake_network.hpp"
#include "unit/pci/fake_machine.hpp"

namespace pollux::tool {

/// A machine with a port that has the interface eth1, and what a roll-back does to it.
struct Machine : testing::Test {
  Machine() {
    machine.load_driver("vfio-pci");
    network.state = host::test::host_with_port("0000:01:00.0");
    actions.save = [](const std::string& name) {
      host::InterfaceBackup backup;
      backup.name = name;
      return backup;
    };
    actions.restore = [this](const host::InterfaceBackup& backup, const std::string& name) {
      events.push_back("restore " + backup.name + " as " + name);
      machine.write(machine.paths.run / "restored", backup.name);
      return restored;
    };
    actions.kill = [this](int process, int signal, const std::function<bool()>& is_meant) {
      if (!is_meant()) return;
      events.push_back("kill " + std::to_string(process) + " by " + std::to_string(signal));
      if (signal == deadly) std::filesystem::remove_all(machine.paths.proc / std::to_string(process));
    };
  }

  Result<Rollback> prepare() { return Rollback::prepare(environment, actions, {port}); }
  void bind() {
    ASSERT_TRUE(host::Binder(machine.paths, machine.clock, network).bind(std::array{port}, {.force = true}));
  }

  pci::test::FakeMachine machine;
  host::test::FakeNetwork network;
  pci::Address port = machine.add({.address = "0000:01:00.0", .group = 7, .interface = "eth1"});
  HostActions actions;
  Result<void> restored;
  int deadly = 15;  ///< the signal that ends a process
  std::vector<std::string> events;
  std::ostringstream out;
  std::ostringstream err;
  Context context;
  Environment environment{machine.paths, machine.clock, network, {}, {}, out, err, context};
};

}  // namespace pollux::tool
