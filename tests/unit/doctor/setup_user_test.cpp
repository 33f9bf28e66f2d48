// SPDX-License-Identifier: BSD-3-Clause
// `pollux setup-user` on a fake root: what it shows, writes, runs and undoes.
#include "common/cli.hpp"

#include <vector>

#include "commands.hpp"
#include "fixture.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

struct SetupUser : Machine {
  SetupUser() {
    environment.run_command = [this](const Invocation& command) {
      commands.push_back(shell_text(command));
      return status;
    };
  }
  int run_command(const std::string& arguments) {
    out.str("");
    err.str("");
    commands.clear();
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    add_setup_user(app, environment, exit_code);
    return app.parse(arguments, out, err).value_or(exit_code);
  }
  [[nodiscard]] bool is_set_up() const { return std::filesystem::exists(rules) && std::filesystem::exists(limits); }

  const std::filesystem::path rules = machine.paths.etc / "udev/rules.d/60-pollux.rules";
  const std::filesystem::path limits = machine.paths.etc / "security/limits.d/pollux.conf";
  std::vector<std::string> commands;
  int status = 0;
};

TEST_F(SetupUser, WritesTheRuleAndTheLimit) {
  EXPECT_EQ(run_command("setup-user --yes nobody"), kSuccess) << err.str();
  EXPECT_THAT(machine.read(rules),
              AllOf(HasSubstr("SUBSYSTEM==\"vfio\", KERNEL==\"[0-9]*\", GROUP=\"pollux\", MODE=\"0660\"\n"),
                    HasSubstr("SUBSYSTEM==\"vfio-dev\", GROUP=\"pollux\""), HasSubstr("KERNEL==\"iommu\"")));
  EXPECT_THAT(machine.read(limits), HasSubstr("\n@pollux - memlock 270336\n")) << "4 ports of 66 MiB";
  EXPECT_THAT(commands, ElementsAre("groupadd --system --force pollux", "usermod --append --groups pollux nobody",
                                    "udevadm control --reload", StartsWith("udevadm trigger --action=change ")));
  EXPECT_THAT(out.str(), HasSubstr("nobody's next login"));
}

TEST_F(SetupUser, ShowsEverythingBeforeItAsks) {
  environment.confirm = [&](const std::string&) {
    EXPECT_THAT(out.str(),
                AllOf(HasSubstr(rules.string()), HasSubstr("    SUBSYSTEM==\"vfio\""), HasSubstr(limits.string()),
                      HasSubstr("@pollux - memlock"), HasSubstr("run groupadd"), HasSubstr("run udevadm")));
    return false;
  };
  EXPECT_EQ(run_command("setup-user nobody"), kFailure);
  EXPECT_FALSE(is_set_up());
  EXPECT_THAT(commands, IsEmpty());
  environment.confirm = [](const std::string&) { return true; };
  EXPECT_EQ(run_command("setup-user nobody"), kSuccess);
  EXPECT_TRUE(is_set_up());
}

TEST_F(SetupUser, NobodyToAskMeansNo) {
  EXPECT_EQ(run_command("setup-user nobody"), kFailure);
  EXPECT_FALSE(is_set_up());
  EXPECT_THAT(err.str(), HasSubstr("nothing was changed"));
}

TEST_F(SetupUser, ADryRunChangesNothing) {
  EXPECT_EQ(run_command("setup-user --dry-run --yes nobody"), kSuccess);
  EXPECT_THAT(out.str(), HasSubstr("60-pollux.rules"));
  EXPECT_FALSE(std::filesystem::exists(machine.paths.etc));
  EXPECT_THAT(commands, IsEmpty());
}

TEST_F(SetupUser, CanBeUndone) {
  ASSERT_EQ(run_command("setup-user --yes nobody"), kSuccess);
  EXPECT_EQ(run_command("setup-user --remove --yes nobody"), kSuccess);
  EXPECT_FALSE(std::filesystem::exists(rules));
  EXPECT_FALSE(std::filesystem::exists(limits));
  EXPECT_THAT(commands,
              ElementsAre("gpasswd --delete nobody pollux", "udevadm control --reload", StartsWith("udevadm")));
  EXPECT_EQ(run_command("setup-user --remove --yes"), kSuccess) << "again, and without a user";
  EXPECT_THAT(commands, ElementsAre("udevadm control --reload", StartsWith("udevadm trigger")));
}

TEST_F(SetupUser, CanBeRepeatedWithOtherValues) {
  ASSERT_EQ(run_command("setup-user --yes nobody"), kSuccess);
  EXPECT_EQ(run_command("setup-user --yes --group wheel --ports 1 nobody"), kSuccess);
  EXPECT_THAT(machine.read(rules), HasSubstr("GROUP=\"wheel\""));
  EXPECT_THAT(machine.read(limits), HasSubstr("\n@wheel - memlock 67584\n"));
}

TEST_F(SetupUser, LeavesFilesOfOthersAlone) {
  machine.write(limits, "@dpdk - memlock 1\n");
  for (const char* words : {"setup-user --yes nobody", "setup-user --yes --remove"}) {
    EXPECT_EQ(run_command(words), kFailure) << words;
    EXPECT_THAT(err.str(), AllOf(HasSubstr(limits.string()), HasSubstr("mv ")));
    EXPECT_EQ(machine.read(limits), "@dpdk - memlock 1\n");
    EXPECT_FALSE(std::filesystem::exists(rules));
    EXPECT_THAT(commands, IsEmpty());
  }
}

TEST_F(SetupUser, ReportsACommandThatFails) {
  status = 9;
  EXPECT_EQ(run_command("setup-user --yes nobody"), kFailure);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("groupadd"), HasSubstr("status 9")));
  EXPECT_EQ(commands.size(), 1u) << "nothing is run after it";
}

TEST_F(SetupUser, RejectsBadNames) {
  for (const char* words :
       {"setup-user", "setup-user --yes 'a;b'", "setup-user --yes --group 'x y' nobody",
        "setup-user --yes --group=-x nobody", "setup-user --yes --group 0 nobody",
        "setup-user --yes --group 4294967295 nobody", "setup-user --yes 1000", "setup-user --yes --ports 0 nobody"}) {
    EXPECT_EQ(run_command(words), kUsage) << words;
    EXPECT_FALSE(is_set_up());
    EXPECT_THAT(commands, IsEmpty());
  }
  EXPECT_EQ(run_command("setup-user --yes no-such-user-here"), kFailure);
  EXPECT_THAT(commands, IsEmpty());
}

TEST_F(SetupUser, ReportsAFileThatCannotBeWritten) {
  machine.write(machine.paths.etc / "udev", "a file where a folder should be");
  EXPECT_EQ(run_command("setup-user --yes nobody"), kFailure);
  EXPECT_THAT(err.str(), HasSubstr("cannot write"));
}

}  // namespace
}  // namespace pollux::tool::doctor
