// SPDX-License-Identifier: BSD-3-Clause
#include "pollux/base/error.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <string>

#include "pollux/base/misuse.hpp"

namespace pollux {
namespace {

TEST(Error, MessageJoinsWhatAndHint) {
  EXPECT_EQ((Error{ErrorCode::not_bound, "0000:01:00.0 is bound to igb", "pollux bind 0000:01:00.0"}).message(),
            "0000:01:00.0 is bound to igb: pollux bind 0000:01:00.0");
}

TEST(Error, MessageWithoutHintIsWhat) {
  EXPECT_EQ((Error{ErrorCode::device_removed, "0000:01:00.0 was removed", ""}).message(), "0000:01:00.0 was removed");
}

TEST(Error, MessageShowsNoControlCharacters) {
  EXPECT_EQ((Error{ErrorCode::io_error, "x\033[2J", "y\xE2\x80\xAE"}).message(), "x?[2J: y?");
}

TEST(Error, FailCreatesAFailedResult) {
  const Result<int> result = fail(ErrorCode::busy, "taken", "wait");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::busy);
  EXPECT_EQ(result.error().what, "taken");
  EXPECT_EQ(result.error().hint, "wait");
}

TEST(Error, FailErrnoAppendsItsText) {
  const Result<void> result = fail_errno(ErrorCode::permission_denied, "open /dev/vfio/7", EACCES, "chown it");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().what, "open /dev/vfio/7 (Permission denied)");
  EXPECT_EQ(result.error().hint, "chown it");
}

TEST(Error, PassOnKeepsEverything) {
  Result<int> inner = fail(ErrorCode::timeout, "STATUS.LU", "plug the cable in");
  const Result<std::string> outer = pass_on(std::move(inner));
  ASSERT_FALSE(outer);
  EXPECT_EQ(outer.error().code, ErrorCode::timeout);
  EXPECT_EQ(outer.error().message(), "STATUS.LU: plug the cable in");
}

TEST(Error, EveryCodeHasANameOfItsOwn) {
  std::set<std::string_view> names;
  constexpr int kLast = static_cast<int>(ErrorCode::in_use_by_host);
  for (int code = 0; code <= kLast; ++code) {
    const std::string_view name = to_string(static_cast<ErrorCode>(code));
    EXPECT_NE(name, "unknown") << code;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(to_string(static_cast<ErrorCode>(kLast + 1)), "unknown");
}

TEST(Error, NamesTheLimitOfOpenFilesWhereThatIsReached) {
  const auto hint = [](int number) { return fail_errno(ErrorCode::io_error, "x", number, "free space").value().hint; };
  EXPECT_EQ(hint(ENOSPC), "free space");
  EXPECT_NE(hint(EMFILE).find("ulimit -n"), std::string::npos);
  EXPECT_NE(hint(ENFILE).find("fs.file-max"), std::string::npos);
}

TEST(Misuse, EveryKindHasANameOfItsOwn) {
  std::set<std::string_view> names;
  constexpr int kLast = static_cast<int>(MisuseKind::no_such_queue);
  for (int kind = 0; kind <= kLast; ++kind) {
    const std::string_view name = to_string(static_cast<MisuseKind>(kind));
    EXPECT_NE(name, "unknown") << kind;
    EXPECT_TRUE(names.insert(name).second) << name;
  }
  EXPECT_EQ(to_string(static_cast<MisuseKind>(kLast + 1)), "unknown") << "a kind that this test does not know";
}

TEST(Site, NamesTheCallingLine) {
  const unsigned line = __LINE__ + 1;
  const Site site = Site::here();
  EXPECT_EQ(site.line, line);
  EXPECT_NE(std::string_view(site.file).find("error_test.cpp"), std::string_view::npos);
}

}  // namespace
}  // namespace pollux
