// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/handover/record.hpp"
#include "xdp_fixture.hpp"

namespace pollux::ports {
inline std::size_t open_files() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

/// A frame with a number, of the type that KernelEnd receives.
inline Bytes framed(std::size_t bytes, std::uint8_t number) {
  Bytes frame = numbered(bytes, number);
  frame[12] = KernelEnd::kEtherType >> 8;
  frame[13] = KernelEnd::kEtherType & 0xFF;
  return frame;
}

/// A program: a Context with a pool of its own layout, a port on plxu0, and a thread that polls while it runs.
class Program {
 public:
  explicit Program(const MempoolOptions& pool = {.count = 512})
      : pool_(*Mempool::create(context_, pool)), cache_(pool_) {}
  ~Program() { stop(); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  [[nodiscard]] Settings settings(std::uint32_t ring = 64) const {
    return {.rx = {{.pool = pool_, .cache = cache_, .ring = ring}}, .tx = {{.cache = cache_, .ring = ring}}};
  }
  [[nodiscard]] Result<void> open(const std::string& uri, const Settings& settings) {
    auto port = pollux::open(context_, uri, settings);
    if (!port) return pass_on(std::move(port));
    port_ = *std::move(port);
    return {};
  }
  [[nodiscard]] Result<void> offer(const std::string& path) {
    auto offered = Handover::offer(context_, path);
    if (!offered) return pass_on(std::move(offered));
    handover_ = *std::move(offered);
    return {};
  }
  /// As a program that starts: takes over what there is, else starts.
  [[nodiscard]] Result<void> take_over(const std::string& path, const std::string& uri, const Settings& settings) {
    auto takeover = Takeover::begin(context_, path);
    if (!takeover) return pass_on(std::move(takeover));
    auto opened = open(uri, settings);
    if (opened && *takeover) opened = (*takeover)->finish();
    if (!opened) port_.reset();
    return opened;
  }
  [[nodiscard]] Result<void> take_over(const std::string& path) {
    return take_over(path, "xdp:plxu0?rule=all", settings());
  }

  /// Answers frames by the same ones, and runs the Control, until it is stopped or has handed its port over.
  void run() {
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested() && !(handover_ && handover_->is_done())) {
        Burst<8> burst;
        port_->rx(0).rx_burst(burst);
        received_ += burst.size();
        port_->tx(0).tx_burst(burst);
        burst.drop(unsent_, cache_);
        static_cast<void>(context_.control().run_due());
      }
    });
  }
  void stop() {
    if (thread_.joinable()) {
      thread_.request_stop();
      thread_.join();
    }
  }

  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
  [[nodiscard]] Port& port() { return *port_; }
  [[nodiscard]] Context& context() { return context_; }
  [[nodiscard]] bool has_left() const { return handover_->is_done(); }
  [[nodiscard]] bool has_said(const std::string& part) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(log_, [&](const std::string& line) { return line.find(part) != std::string::npos; });
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> log_;
  Context context_{{.log =
                        [this](LogLevel, std::string_view line) {
                          const std::lock_guard lock(mutex_);
                          log_.emplace_back(line);
                        },
                    .huge_pages = HugePages::never}};
  Mempool pool_;
  MempoolCache cache_;
  DropCounter unsent_{"unsent"};
  std::optional<Port> port_;
  std::optional<Handover> handover_;
  std::atomic<std::uint64_t> received_ = 0;
  std::jthread thread_;
};

class XdpHandover : public XdpPort {
 protected:
  void SetUp() override {
    XdpPort::SetUp();
    if (IsSkipped()) return;
    path_ = file("handover");
    kernel_.emplace("plxu1");
    ASSERT_TRUE(old_.open("xdp:plxu0?rule=all", old_.settings()));
    const auto offered = old_.offer(path_);
    if (!offered && offered.error().what.find("6.4") != std::string::npos) GTEST_SKIP() << offered.error().what;
    ASSERT_TRUE(offered) << offered.error().message();
    old_.run();
  }

  /// Sends `count` frames with numbers, and returns those that come back.
  std::vector<Bytes> echo(int count, std::size_t bytes = 60) {
    std::vector<Bytes> frames;
    for (int i = 0; i < count; ++i) {
      kernel_->send(framed(bytes, static_cast<std::uint8_t>(i)));
      Bytes frame = receive(*kernel_);
      if (frame.empty()) break;
      frames.push_back(std::move(frame));
    }
    return frames;
  }
  void expect_echo(int count, std::size_t bytes = 60) {
    std::vector<Bytes> expected;
    for (int i = 0; i < count; ++i) expected.push_back(framed(bytes, static_cast<std::uint8_t>(i)));
    EXPECT_TRUE(echo(count, bytes) == expected);
  }
  void expect_refusal(Program& next, const std::string& uri, const Settings& settings, const std::string& why) {
    const auto taken = next.take_over(path_, uri, settings);
    ASSERT_FALSE(taken) << why;
    EXPECT_THAT(taken.error().what, testing::HasSubstr(why));
    expect_echo(3);
    EXPECT_FALSE(old_.has_left());
  }
  [[nodiscard]] FileDescriptor connected() {
    FileDescriptor client(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const timeval limit{.tv_sec = 5, .tv_usec = 0};
    EXPECT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return client;
  }
  void ask(const FileDescriptor& client, const char* message) {
    ASSERT_TRUE(handover::send(client.get(), {{"message", message}}));
  }

  std::string path_;
  std::optional<KernelEnd> kernel_;
  Program old_;
};

}  // namespace pollux::ports
