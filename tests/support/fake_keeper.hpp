// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.hpp"
#include "net/handover/keeper.hpp"
#include "net/handover/kept_file.hpp"

namespace pollux::test {

/// Holds descriptors by name as `pollux keeper` does, for whoever asks.
class FakeKeeper {
 public:
  FakeKeeper() {
    EXPECT_NE(::mkdtemp(folder_.data()), nullptr);
    path_ = std::string(folder_.data()) + "/socket";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(&address.sun_path[0], sizeof address.sun_path - 1);
    socket_ = FileDescriptor(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    thread_ = std::thread([this] {
      while (serve()) continue;
    });
  }
  FakeKeeper(const FakeKeeper&) = delete;
  FakeKeeper& operator=(const FakeKeeper&) = delete;
  ~FakeKeeper() {
    ::shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
    ::unlink(path_.c_str());
    ::rmdir(folder_.data());
  }

  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  /// After all that was sent so far.
  [[nodiscard]] std::vector<std::string> names() {
    EXPECT_TRUE(handover::Keeper(path_).take("nothing/"));
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, file] : held_) all.push_back(name);
    return all;
  }
  /// Holds a copy of that file from now on: whoever stored it writes no more to what is held.
  void copy(const std::string& name) {
    EXPECT_TRUE(handover::Keeper(path_).take("nothing/"));
    const std::lock_guard lock(mutex_);
    FileDescriptor& held = held_.at(name);
    struct stat found {};
    EXPECT_EQ(::fstat(held.get(), &found), 0);
    std::vector<char> bytes(static_cast<std::size_t>(found.st_size));
    auto made = handover::KeptFile::make(name, bytes.size());
    EXPECT_TRUE(made && ::pread(held.get(), bytes.data(), bytes.size(), 0) == found.st_size &&
                ::pwrite(made->get(), bytes.data(), bytes.size(), 0) == found.st_size);
    if (made) held = *std::move(made);
  }
  void forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    held_.erase(name);
  }

 private:
  /// One datagram. Returns false at the end.
  bool serve() {
    std::array<char, 4096> bytes{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    iovec part{bytes.data(), bytes.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
    if (count <= 0) return false;
    FileDescriptor file;
    if (const cmsghdr* const first = CMSG_FIRSTHDR(&header); first != nullptr) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(first), sizeof number);
      file = FileDescriptor(number);
    }
    const std::string text(bytes.data(), static_cast<std::size_t>(count));
    const auto at = text.find("FDNAME=") + 7;
    const std::string name = text.substr(at, text.find('\n', at) - at);
    const std::lock_guard lock(mutex_);
    if (text.starts_with("FDSTORE=1")) held_[name] = std::move(file);
    if (text.starts_with("FDSTOREREMOVE=1")) held_.erase(name);
    if (text.starts_with("FDTAKE=1")) answer(name, file.get());
    return true;
  }
  void answer(const std::string& prefix, int to) {
    handover::Json json{{"message", "held"}, {"names", handover::Json::array()}};
    std::vector<int> files;
    for (const auto& [name, file] : held_) {
      if (!name.starts_with(prefix)) continue;
      json["names"].push_back(name);
      files.push_back(file.get());
    }
    EXPECT_TRUE(handover::send(to, json, files));
  }

  std::array<char, 32> folder_{"/tmp/pollux-keeper-XXXXXX"};
  std::string path_;
  FileDescriptor socket_;
  std::mutex mutex_;
  std::map<std::string, FileDescriptor> held_;
  std::thread thread_;
};

}  // namespace pollux::test
