// SPDX-License-Identifier: BSD-3-Clause
#include "qemu/fixture.hpp"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "backends/qtest/device.hpp"
#include "support/settings_edits.hpp"

namespace pollux::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr std::uint32_t kMbufs = 4096;

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());  // GoogleTest prints it as the test's failure
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const auto deadline = steady_clock::now() + seconds(60);
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(5));
  }
  return true;
}

bool process_exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno != ESRCH; }

Frame numbered_frame(std::uint32_t number, std::size_t bytes) {
  Frame frame(bytes);
  std::fill_n(frame.begin(), 6, std::byte{0xFF});
  frame[6] = std::byte{0x02};
  frame[12] = std::byte{0x88};
  frame[13] = std::byte{0xB5};  // local experimental EtherType 1, whose content the card does not parse
  std::memcpy(frame.data() + 14, &number, sizeof number);
  for (std::size_t i = 18; i < bytes; ++i) frame[i] = static_cast<std::byte>((number * 31 + i * 7) & 0xFF);
  return frame;
}

QemuFixture::QemuFixture()
    : context(
          {.log = [this](LogLevel, std::string_view text) { log.emplace_back(text); }, .huge_pages = HugePages::never}),
      pool(must(Mempool::create(context, {.count = kMbufs, .name = "qemu"}))),
      cache(pool),
      config{.rx = {{.pool = pool, .cache = cache}}, .tx = {{.cache = cache}}} {}

QemuFixture::~QemuFixture() {
  if (!testing::Test::HasFailure()) return;
  for (const std::string& line : log) ADD_FAILURE() << "log: " << line;
}

// A machine that does much else at the same time may leave QEMU without the processor for longer than by default.
QemuPort QemuFixture::open(const std::string& which) {
  const bool is_told = which.find("timeout=") != std::string::npos;
  const char* const separator = which.find('?') == std::string::npos ? "?" : ",";
  auto device = must(qtest::open_qtest(context, is_told ? which : which + separator + "timeout=20000"));
  const pid_t pid = static_cast<qtest::QtestDevice&>(*device).machine().pid();
  return {must(pollux::open_unconfigured(context, std::move(device))), pid};
}

QemuPort QemuFixture::start(const std::string& which) {
  QemuPort opened = open(which);
  must(configure_port(opened.port, config));
  must(opened.port.start());
  return opened;
}

bool QemuFixture::link_rises(Port& port) {
  return eventually([&] { return port.link().up; });
}

std::size_t QemuFixture::send(Port& port, std::span<const Frame> frames) {
  DropCounter rejected("rejected");
  std::size_t sent = 0;
  auto progress = steady_clock::now();
  while (sent < frames.size() && steady_clock::now() - progress < seconds(10)) {
    Burst<32> burst;
    for (const Frame& frame : frames.subspan(sent, std::min<std::size_t>(32, frames.size() - sent))) {
      MbufPtr mbuf = cache.allocate();
      if (mbuf == nullptr) break;
      std::memcpy(mbuf->append(static_cast<std::uint32_t>(frame.size())), frame.data(), frame.size());
      static_cast<void>(burst.push(mbuf));
    }
    const std::uint32_t taken = port.tx(0).tx_burst(burst);
    burst.drop(rejected, cache);
    sent += taken;
    if (taken != 0) progress = steady_clock::now();
  }
  return sent;
}

std::vector<Frame> QemuFixture::receive(Port& port, std::size_t count) {
  DropCounter seen("seen");
  std::vector<Frame> frames;
  auto progress = steady_clock::now();
  while (frames.size() < count && steady_clock::now() - progress < seconds(10)) {
    Burst<32> burst;
    if (port.rx(0).rx_burst(burst) != 0) progress = steady_clock::now();
    for (const Mbuf& mbuf : burst) {
      const auto* const first = reinterpret_cast<const std::byte*>(mbuf.data());
      frames.emplace_back(first, first + mbuf.length());
    }
    burst.drop(seen, cache);
  }
  return frames;
}

void QemuFixture::exchange(Port& from, Port& to, std::uint32_t count) {
  constexpr std::uint32_t kAtOnce = 128;
  for (std::uint32_t first = 0; first < count; first += kAtOnce) {
    std::vector<Frame> frames;
    for (std::uint32_t i = first; i < std::min(count, first + kAtOnce); ++i) {
      frames.push_back(numbered_frame(i, 60 + i % 1455));
    }
    ASSERT_EQ(send(from, frames), frames.size());
    const auto received = receive(to, frames.size());
    ASSERT_EQ(received.size(), frames.size());
    for (std::size_t i = 0; i < frames.size(); ++i) ASSERT_EQ(received[i], frames[i]) << "frame " << first + i;
  }
}

}  // namespace pollux::test
