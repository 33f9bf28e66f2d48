// SPDX-License-Identifier: BSD-3-Clause
#include "machine.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace pollux::test {
namespace {

const std::string kDirectory = "/sys/kernel/mm/hugepages/hugepages-2048kB";

std::uint64_t read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? number : 0;
}

std::uint64_t configured() { return read_number(kDirectory + "/nr_hugepages"); }

bool write_number(const std::string& path, std::uint64_t number) {
  std::ofstream file(path);
  file << number << std::flush;
  return static_cast<bool>(file);
}

}  // namespace

ReservedHugePages::ReservedHugePages(std::uint64_t pages) {
  lock_ = ::open(kDirectory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) {
    missing_ = "LEFT OUT: this kernel has no huge pages of 2 MiB";
    return;
  }
  ::flock(lock_, LOCK_EX);
  const std::uint64_t before = configured();
  if (free() >= pages) return;
  static_cast<void>(write_number(kDirectory + "/nr_hugepages", before + pages - free()));
  added_ = configured() - before;
  if (free() < pages) {
    missing_ = "LEFT OUT: " + std::to_string(pages) + " huge pages of 2 MiB could not be set aside (" +
               std::to_string(free()) + " are free; root and unfragmented memory are needed)";
  }
}

ReservedHugePages::~ReservedHugePages() {
  // Subtracts instead of restoring the old number, which another process may have changed.
  if (added_ != 0) static_cast<void>(write_number(kDirectory + "/nr_hugepages", configured() - added_));
  if (lock_ >= 0) ::close(lock_);
}

std::uint64_t ReservedHugePages::free() { return read_number(kDirectory + "/free_hugepages"); }

bool ReservedHugePages::become_free(std::uint64_t pages) {
  return eventually([&] { return free() >= pages; });
}

bool eventually(const std::function<bool()>& condition) {
  using namespace std::chrono_literals;
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return condition();
}

ChildReport in_child(const std::function<std::string()>& work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = work();
    const auto written = ::write(ends[1], text.data(), text.size());
    ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  ChildReport report;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    report.text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) report.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) report.signal = WTERMSIG(status);
  return report;
}

void become_nobody() {
  constexpr unsigned kNobody = 65534;
  if (::geteuid() != 0) return;
  if (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0) std::abort();
}

std::vector<int> open_descriptors() {
  std::vector<int> numbers;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(directory)) {
    const int number = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && number != ::dirfd(directory)) numbers.push_back(number);
  }
  ::closedir(directory);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

}  // namespace pollux::test
