// SPDX-License-Identifier: BSD-3-Clause
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "silicon_probe/ask.hpp"
#include "silicon_probe/report.hpp"
#include "support/matches.hpp"

namespace pollux::silicon {
namespace {

AskOptions both() { return {.port = "sim:0", .partner = "sim:1", .clock = std::make_shared<ManualClock>()}; }

const Probe& probe_named(std::string_view name) {
  for (const Probe& probe : probes()) {
    if (probe.name == name) return probe;
  }
  throw std::runtime_error("there is no probe " + std::string(name));
}

/// What a card said, without times.
std::map<std::string, std::string> said(const Outcome& outcome) {
  std::map<std::string, std::string> all;
  for (const Fact& fact : outcome.answer.facts()) {
    all[fact.what] = fact.said.ends_with(" ms") ? "in time" : fact.said;
  }
  return all;
}

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("pollux-silicon-test-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path);
  }
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Probes, AreAllAnsweredByInProcessCards) {
  for (const Probe& probe : probes()) {
    const Outcome outcome = ask(probe, both());
    EXPECT_EQ(outcome.state, State::answered) << probe.name << ": " << outcome.reason;
    std::set<std::string_view> asked;
    for (const Fact& fact : outcome.answer.facts()) asked.insert(fact.tag);
    for (const std::string_view tag : asked) EXPECT_THAT(probe.tags, testing::Contains(tag)) << probe.name;
    EXPECT_FALSE(asked.empty()) << probe.name;
  }
}

// These are answered by the model as the readings say, since it was built by them.
TEST(Probes, FindTheReadingsInTheModel) {
  for (const std::string_view name :
       {"master", "phy", "address", "alias", "narrow", "queue_enable", "queue_disable", "done_bits", "pages", "fcs",
        "set_limit", "redirection", "octets", "split_headers", "split_types", "copied_headers", "copied_large"}) {
    const Outcome outcome = ask(probe_named(name), both());
    EXPECT_TRUE(outcome.answer.agrees()) << to_text(outcome);
  }
}

TEST(Probes, SayWhatDiffersFromTheReading) {
  // The model has loopback in the MAC, as QEMU's card does; silicon has none.
  const Outcome outcome = ask(probe_named("loopback"), both());
  EXPECT_EQ(outcome.state, State::answered);
  EXPECT_FALSE(outcome.answer.agrees());
  const nlohmann::json json = to_json(outcome);
  EXPECT_EQ(json["facts"][0]["said"], "1");
  EXPECT_EQ(json["facts"][0]["expected"], "0");
  EXPECT_FALSE(json["facts"][0]["agrees"]);
}

TEST(Probes, AreSkippedWithoutTheSecondPort) {
  AskOptions alone = both();
  alone.partner.clear();
  const Outcome outcome = ask(probe_named("fcs"), alone);
  EXPECT_EQ(outcome.state, State::skipped);
  EXPECT_THAT(outcome.reason, testing::HasSubstr("second port"));
  EXPECT_EQ(ask(probe_named("phy"), alone).state, State::answered);
}

TEST(Probes, FailWithoutACard) {
  AskOptions options = both();
  options.port = "fault:removal@40,sim:0";
  const Outcome outcome = ask(probe_named("phy"), options);
  EXPECT_EQ(outcome.state, State::failed);
  EXPECT_NE(outcome.reason, "");
}

TEST(Probes, AnswerTheSameFromARecording) {
  const Folder folder;
  for (const Probe& probe : probes()) {
    if (probe.uses_dma) continue;
    AskOptions recorded = both();
    recorded.recordings = folder.path;
    const Outcome before = ask(probe, recorded);
    AskOptions replayed = both();
    replayed.replay = folder.path;
    const Outcome after = ask(probe, replayed);
    EXPECT_EQ(after.state, State::answered) << probe.name << ": " << after.reason;
    EXPECT_EQ(said(after), said(before)) << probe.name;
  }
}

TEST(Probes, WriteEachAccessToATrace) {
  const Folder folder;
  AskOptions traced = both();
  traced.traces = folder.path;
  ASSERT_EQ(ask(probe_named("kept_bits"), traced).state, State::answered);
  const std::string trace = text_of(folder.path / "kept_bits.txt");
  EXPECT_THAT(trace, testing::HasSubstr("port    write  RDLEN[2] (0xc088, 32 bits) = 0xffffffff\n"));
  EXPECT_THAT(trace, testing::HasSubstr("partner "));
}

// A new question in the document needs a probe, or a reason in probes.cpp why there is none.
TEST(Questions, EachHasAProbeOrAReason) {
  const std::string document = text_of(POLLUX_INTERPRETATIONS);
  const auto from = document.find("## Which probe asks what");
  ASSERT_NE(from, std::string::npos);
  std::map<std::string, std::string> listed;
  std::set<std::string> open;
  for (const auto& [position, row] : test::matches(document, "\n\\| (I-[A-Z0-9-]+) \\| ([^|\n]*) \\|")) {
    if (position < from) open.insert(row[1]);
    if (position >= from) listed[row[1]] = row[2];
  }
  std::map<std::string, std::string> expected;
  for (const Probe& probe : probes()) {
    for (const std::string_view tag : probe.tags) {
      std::string& names = expected[std::string(tag)];
      names += (names.empty() ? "`" : ", `") + std::string(probe.name) + "`";
    }
  }
  for (const Unasked& one : unasked()) {
    EXPECT_FALSE(expected.contains(std::string(one.tag))) << one.tag << " has a probe and a reason for none";
    expected[std::string(one.tag)] = std::string(one.kind) + ": " + std::string(one.why);
  }
  EXPECT_EQ(listed, expected) << "the table 'Which probe asks what' of docs/82576/interpretations.md";
  // The in-process card has readings of its own (I-M-), not all of which are questions to a card.
  for (const std::string& tag : open) {
    const bool named = tag.starts_with("I-M-") || expected.contains(tag);
    EXPECT_TRUE(named) << tag << " has neither a probe nor a reason for none";
  }
}

}  // namespace
}  // namespace pollux::silicon
