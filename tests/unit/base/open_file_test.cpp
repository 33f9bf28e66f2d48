// SPDX-License-Identifier: BSD-3-Clause
#include "base/open_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace pollux {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ReadInputFile : public testing::Test {
 protected:
  ~ReadInputFile() override { std::filesystem::remove(path_); }

  void write(std::size_t bytes) { std::ofstream(path_, std::ios::binary) << std::string(bytes, 'x'); }
  static Error error_of(const std::string& path) {
    const auto read = read_input_file(path, "list", 100);
    return read ? Error{} : read.error();
  }

  std::string path_ = std::filesystem::temp_directory_path() / ("pollux-open-file-" + std::to_string(::getpid()));
};

TEST_F(ReadInputFile, HasAllBytesUpToTheLimit) {
  for (const std::size_t bytes : {0UL, 1UL, 65'536UL, 200'000UL}) {
    write(bytes);
    EXPECT_EQ(read_input_file(path_, "list", 200'000).value().size(), bytes);
  }
  EXPECT_GT(read_input_file("/proc/self/status", "list", 100'000).value().size(), 100U) << "its size is told as 0";
}

TEST_F(ReadInputFile, MoreIsAnError) {
  write(101);
  EXPECT_EQ(error_of(path_).code, ErrorCode::invalid_argument);
  EXPECT_THAT(error_of(path_).message(), AllOf(HasSubstr("list"), HasSubstr(path_), HasSubstr("more than 100 bytes")));
  write(100);
  EXPECT_TRUE(read_input_file(path_, "list", 100));
}

TEST_F(ReadInputFile, WhatIsNoFileIsAnErrorAndNotReadWithoutEnd) {
  for (const char* const other : {"/dev/zero", "/tmp", "/dev/null"}) {
    EXPECT_EQ(error_of(other).code, ErrorCode::invalid_argument) << other;
    EXPECT_THAT(error_of(other).message(), HasSubstr("is not a regular file")) << other;
  }
  EXPECT_EQ(error_of("/nonexistent").code, ErrorCode::not_found);
}

TEST(IsProgram, AFolderIsNone) {
  EXPECT_TRUE(is_program("/bin/sh"));
  EXPECT_FALSE(is_program("/bin")) << "a folder may be entered";
  EXPECT_FALSE(is_program("/etc/passwd"));
  EXPECT_FALSE(is_program("/nonexistent"));
}

}  // namespace
}  // namespace pollux
