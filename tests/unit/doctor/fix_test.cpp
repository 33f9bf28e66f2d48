// SPDX-License-Identifier: BSD-3-Clause
// `pollux doctor --fix`: which commands it runs, in which order, and what it reports.
#include <unistd.h>

#include <functional>
#include <map>
#include <vector>

#include "doctor/diagnosis.hpp"
#include "fixture.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

struct Fix : Machine {
  Fix() {
    caller.uid = 0;
    environment.run_command = [this](const Invocation& step) {
      const std::string command = shell_text(step);
      commands.push_back(command);
      for (const auto& [start, effect] : effects) {
        if (command.starts_with(start)) return effect();
      }
      return 0;
    };
  }
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "the commands need root";
  }

  Result<Subject> subject() {
    Subject made{environment, caller};
    made.device = pci::read_device(machine.paths, port).value();
    return made;
  }
  std::vector<std::string> outcomes(bool yes = true) {
    diagnosis = diagnose(*subject());
    std::vector<std::string> listed;
    for (const Attempt& attempt : fix([this] { return subject(); }, diagnosis, environment, yes)) {
      listed.push_back(attempt.check + ": " + attempt.outcome);
    }
    return listed;
  }
  void break_modules_and_binding() {
    machine.unload_driver("vfio-pci");
    bind("igb");
    effects["modprobe"] = [this] { return machine.load_driver("vfio-pci"), 0; };
    effects["pollux bind"] = [this] { return bind("vfio-pci"), 0; };
  }

  std::vector<std::string> commands;
  std::map<std::string, std::function<int()>> effects;  ///< by the start of the command
  Diagnosis diagnosis;
};

TEST_F(Fix, MendsFaultsInTheirOrder) {
  break_modules_and_binding();
  EXPECT_THAT(outcomes(), ElementsAre("modules: mended", "driver: mended"));
  EXPECT_THAT(commands, ElementsAre("modprobe -a vfio-pci", "pollux bind 0000:01:00.0"));
  EXPECT_EQ(count(diagnosis, State::error), 0u);
  EXPECT_THAT(err.str(), HasSubstr("modules: not loaded: vfio-pci\n  modprobe -a vfio-pci\n  mended\n"));
}

TEST_F(Fix, HealthyMachinesAreLeftAlone) {
  EXPECT_THAT(outcomes(), IsEmpty());
  EXPECT_THAT(commands, IsEmpty());
}

TEST_F(Fix, AsksBeforeEachCommand) {
  break_modules_and_binding();
  std::vector<std::string> shown;
  environment.confirm = [&](const std::string&) {
    shown.push_back(err.str());
    return false;
  };
  EXPECT_THAT(outcomes(false), ElementsAre("modules: declined"));
  EXPECT_THAT(commands, IsEmpty());
  ASSERT_EQ(shown.size(), 1u);
  EXPECT_THAT(shown[0], HasSubstr("modprobe -a vfio-pci")) << "the command is shown before the question";
  environment.confirm = {};
  EXPECT_THAT(outcomes(false), ElementsAre("modules: declined")) << "nobody can be asked";
  EXPECT_THAT(commands, IsEmpty());
}

TEST_F(Fix, ReportsCommandsThatFail) {
  break_modules_and_binding();
  effects["modprobe"] = [] { return 1; };
  EXPECT_THAT(outcomes(), ElementsAre("modules: failed: status 1"));
  EXPECT_THAT(commands, ElementsAre("modprobe -a vfio-pci")) << "a port cannot be bound before";
}

TEST_F(Fix, ReportsFaultsThatStay) {
  bind("igb");
  EXPECT_THAT(outcomes(), ElementsAre("driver: done, but the fault is still there"));
  EXPECT_EQ(commands.size(), 1u) << "each command is run once";
}

TEST_F(Fix, LeavesWhatTheHostUses) {
  bind("igb");
  network.state = host::test::host_with_port("0000:01:00.0");
  network.state.namespaces[0].addresses.push_back({2, host::test::prefix("192.0.2.7/24")});
  machine.add_process(42, "l2fwd", machine.paths.dev / "vfio/7");
  EXPECT_THAT(outcomes(), IsEmpty());
  EXPECT_THAT(commands, IsEmpty());
}

TEST_F(Fix, WritesFilesThroughTheInputOfTee) {
  const auto governor = machine.paths.sys / "devices/system/cpu/cpu2/cpufreq/scaling_governor";
  machine.write(governor, "powersave\n");
  environment.run_command = &run_command;
  EXPECT_THAT(outcomes(), ElementsAre("cpu-frequency: mended"));
  EXPECT_EQ(machine.read(governor), "performance\n");
}

TEST_F(Fix, ShowsNoControlCharacters) {
  bind("x\033[2J\u061c");
  EXPECT_THAT(outcomes(), ElementsAre("driver: done, but the fault is still there"));
  EXPECT_THAT(err.str(), HasSubstr("driver: x?[2J?\n"));
}

TEST_F(Fix, APortThatDisappears) {
  machine.unload_driver("vfio-pci");
  diagnosis = diagnose(*subject());
  const Refresh gone = [] { return Result<Subject>(fail(ErrorCode::not_found, "the port is gone")); };
  const auto attempts = fix(gone, diagnosis, environment, true);
  ASSERT_EQ(attempts.size(), 1u);
  EXPECT_THAT(attempts[0].outcome, StartsWith("failed: the port is gone"));
}

}  // namespace
}  // namespace pollux::tool::doctor
