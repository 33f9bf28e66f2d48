// SPDX-License-Identifier: BSD-3-Clause
// `pollux doctor` as a command: text, JSON, exit status; and the callers.
#include <sys/stat.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "doctor/diagnosis.hpp"
#include "fixture.hpp"
#include "run_command.hpp"

namespace pollux::tool::doctor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

struct Command : Machine {
  Command() { environment.caller = &caller; }
  int run_command(const std::string& arguments) {
    out.str("");
    err.str("");
    int exit_code = kSuccess;
    cli::App app("", "pollux");
    add_doctor(app, environment, exit_code);
    return app.parse(arguments, out, err).value_or(exit_code);
  }
};

TEST_F(Command, ShowsEachCheckOfAPort) {
  EXPECT_EQ(run_command("doctor vfio:0000:01:00.0"), kSuccess);
  for (const Check& check : all_checks()) EXPECT_THAT(out.str(), HasSubstr(std::string("  ") + check.name + " "));
  EXPECT_THAT(out.str(), HasSubstr("0 errors, 0 warnings, 1 unknown"));
}

TEST_F(Command, WithoutAPortOnlyTheMachineIsChecked) {
  EXPECT_EQ(run_command("doctor"), kSuccess);
  EXPECT_THAT(out.str(), AllOf(HasSubstr("huge-pages"), Not(HasSubstr("permissions"))));
}

TEST_F(Command, AnErrorIsStatusOneAndAWarningIsNot) {
  pages("devices/system/node/node1/hugepages", 0, 0);
  EXPECT_EQ(run_command("doctor 0000:01:00.0"), kSuccess);
  EXPECT_THAT(out.str(), HasSubstr("0 errors, 1 warning, 1 unknown; commands after # need root"));
  machine.unload_driver("vfio-pci");
  EXPECT_EQ(run_command("doctor 0000:01:00.0"), kFailure);
  EXPECT_THAT(out.str(), HasSubstr("error     modules         not loaded: vfio-pci\n"
                                   "                          the kernel hands a card to a program through them\n"
                                   "                          # modprobe -a vfio-pci\n"));
}

TEST_F(Command, APortThatDoesNotExistIsStatusTwo) {
  EXPECT_EQ(run_command("doctor 0000:7f:00.0"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("no PCI device 0000:7f:00.0"));
  EXPECT_EQ(run_command("doctor eth0"), kUsage);
  EXPECT_THAT(err.str(), AllOf(HasSubstr("`pollux list` shows the cards and their interfaces"), HasSubstr("xdp:eth0")));
  EXPECT_EQ(run_command("doctor --user no-such-user-here"), kUsage);
  EXPECT_EQ(run_command("doctor --with 0000:01:00.0"), kUsage) << "with which port?";
  EXPECT_EQ(run_command("doctor 0000:01:00.0 --with 0000:7f:00.0"), kUsage);
  EXPECT_THAT(err.str(), HasSubstr("no PCI device 0000:7f:00.0"));
  EXPECT_EQ(run_command("doctor --yes"), kUsage) << "without --fix there is nothing to ask";
  EXPECT_EQ(out.str(), "");
}

TEST_F(Command, PrintsJson) {
  machine.unload_driver("vfio-pci");
  EXPECT_EQ(run_command("doctor 0000:01:00.0 --json"), kFailure);
  const auto json = nlohmann::json::parse(out.str());
  EXPECT_EQ(json["port"], "0000:01:00.0");
  EXPECT_EQ(json["device"]["device_id"], "10c9");
  EXPECT_EQ(json["device"]["pollux_driver"], "igb");
  EXPECT_EQ(json["user"], "alice");
  EXPECT_EQ(json["errors"], 1);
  ASSERT_EQ(json["checks"].size(), all_checks().size());
  const auto& modules = json["checks"][2];
  EXPECT_EQ(modules["check"], "modules");
  EXPECT_EQ(modules["state"], "error");
  EXPECT_EQ(modules["command"], "modprobe -a vfio-pci");
  EXPECT_EQ(modules["needs_root"], true);
  EXPECT_EQ(modules["safe"], true);
  EXPECT_EQ(json["checks"][0]["command"], nullptr);
  EXPECT_EQ(run_command("doctor --json"), kFailure);
  EXPECT_EQ(nlohmann::json::parse(out.str())["port"], nullptr);
}

TEST_F(Command, APortIsCheckedTogetherWithAnother) {
  machine.add({.address = "0000:01:00.1", .group = 7});
  EXPECT_EQ(run_command("doctor 0000:01:00.0"), kFailure);
  EXPECT_EQ(run_command("doctor 0000:01:00.0 --with 0000:01:00.1"), kSuccess);
}

TEST_F(Command, ColoursOnlyOnTerminals) {
  run_command("doctor");
  EXPECT_THAT(out.str(), Not(HasSubstr("\033")));
  environment.colours = true;
  run_command("doctor");
  EXPECT_THAT(out.str(), HasSubstr("\033[32mok      \033[0m  mounts"));
  run_command("doctor --json");
  EXPECT_THAT(out.str(), Not(HasSubstr("\033")));
}

TEST_F(Command, StartsThePortOnlyIfAsked) {
  std::vector<std::string> opened;
  environment.open_port = [&](const std::string& uri) -> Result<Port> {
    opened.push_back(uri);
    return fail(ErrorCode::group_in_use, "cannot be opened", "end it");
  };
  EXPECT_EQ(run_command("doctor 0000:01:00.0"), kSuccess);
  EXPECT_TRUE(opened.empty());
  EXPECT_EQ(run_command("doctor --start 'vfio:0000:01:00.0?via=group'"), kFailure);
  EXPECT_THAT(opened, testing::ElementsAre("vfio:0000:01:00.0?via=group"));
  EXPECT_THAT(out.str(), AllOf(HasSubstr("cannot be opened"), HasSubstr("end it")));
}

TEST(DoctorCaller, IsTheUserOfThisProcess) {
  const Caller caller = this_caller({});
  EXPECT_EQ(caller.uid, ::geteuid());
  EXPECT_TRUE(caller.may_open("/dev/null"));
  EXPECT_FALSE(caller.may_open("/dev/none-of-this-name"));
  EXPECT_TRUE(caller.locks.has_value());
}

TEST(DoctorCaller, OfAnotherUserFollowsTheModes) {
  const auto nobody = caller_named("nobody");
  ASSERT_TRUE(nobody) << nobody.error().message();
  EXPECT_FALSE(nobody->locks.has_value());
  const pci::test::FakeMachine machine;
  const auto file = machine.paths.dev / "file";
  machine.write(file, "");
  ::chmod(file.c_str(), 0660);
  EXPECT_EQ(nobody->may_open(file), ::geteuid() == nobody->uid);
  ::chmod(file.c_str(), 0666);
  EXPECT_TRUE(nobody->may_open(file));
  if (::geteuid() != 0) GTEST_SKIP() << "chown needs root";
  ::chmod(file.c_str(), 0660);
  ASSERT_EQ(::chown(file.c_str(), nobody->uid, 0), 0);
  EXPECT_TRUE(nobody->may_open(file)) << "as owner";
  ::chmod(file.c_str(), 0060);
  EXPECT_FALSE(nobody->may_open(file)) << "the owner's bits count, not the group's";
}

TEST(RunCommand, ReturnsTheStatus) {
  EXPECT_EQ(run_command({{"sh", "-c", "exit 3"}}), 3);
  EXPECT_EQ(run_command({{"sh", "-c", "kill -9 $$"}}), 137);
  EXPECT_EQ(run_command({{"plx-no-such-program"}}), 127);
  testing::internal::CaptureStdout();
  EXPECT_EQ(run_command({{"echo", "shown"}}), 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "") << "it goes to stderr";
}

TEST(RunCommand, PolluxIsThisProgram) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_command({{"pollux", "--gtest_list_tests", "--gtest_filter=RunCommand.PolluxIsThisProgram"}}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("PolluxIsThisProgram"));
}

TEST(RunCommand, WordsAreReadByNoShell) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_command({{"printf", "%s|", "a;b", "$(id)", "`id`", "'"}}), 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "a;b|$(id)|`id`|'|");
}

TEST(RunCommand, PassesItsInput) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(run_command({{"cat"}, "64\n"}), 0);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "64\n");
}

}  // namespace
}  // namespace pollux::tool::doctor
