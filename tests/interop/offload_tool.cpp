// SPDX-License-Identifier: BSD-3-Clause
// Sends frames with offload requests from one port to another, for a test that makes and judges them.
// "offload_tool URI URI" reads lines "FLAGS L2 L3 L4 SEGMENT_SIZE VLAN OUTER_VLAN FIRST FRAME" (numbers in decimal, the
// frame in hexadecimal; its first FIRST bytes are in one mbuf, the others in mbufs of 1,000 bytes). For each line it
// prints the frames that arrived, in hexadecimal, separated by spaces, or "dropped" and the name of the drop counter.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "pollux/pollux.hpp"
#include "support/hex.hpp"

namespace {

using namespace pollux;

constexpr std::uint32_t kSegment = 1000;
/// How long the frames of a request may take.
constexpr Duration kLimit = std::chrono::seconds(20);

struct Line {
  TxOffload request;
  std::uint32_t first = 0;
  std::vector<std::uint8_t> frame;
};

Line parse(const std::string& text) {
  Line line;
  std::istringstream in(text);
  TxOffload& request = line.request;
  std::string hex;
  in >> request.flags >> request.l2 >> request.l3 >> request.l4 >> request.segment_size >> request.vlan >>
      request.outer_vlan >> request.outer_l2 >> request.outer_l3 >> line.first >> hex;
  line.frame = test::bytes_of_hex(hex);
  return line;
}

MbufPtr make(MempoolCache& cache, const Line& line) {
  MbufPtr frame;
  for (std::size_t at = 0; at < line.frame.size();) {
    const std::size_t bytes = std::min<std::size_t>(line.frame.size() - at, at == 0 ? line.first : kSegment);
    MbufPtr segment = cache.allocate();
    if (segment == nullptr) return nullptr;
    std::uint8_t* const to = segment->append(static_cast<std::uint32_t>(bytes));
    if (to == nullptr) return nullptr;
    std::copy_n(line.frame.begin() + static_cast<std::ptrdiff_t>(at), bytes, to);
    at += bytes;
    if (frame == nullptr) {
      frame = std::move(segment);
    } else if (!frame->chain(segment)) {
      return nullptr;
    }
  }
  return frame;
}

// The name of the drop counter that has grown; empty if there is none.
std::string new_drop(const Stats& before, const Stats& after) {
  for (std::size_t i = 0; i < after.drops.size(); ++i) {
    if (after.drops[i].value != before.drops[i].value) return after.drops[i].name;
  }
  return {};
}

class Tool {
 public:
  Tool(Context& context, Port& from, Port& to, MempoolCache& cache)
      : context_(context), from_(from), to_(to), cache_(cache) {}

  /// The answer to one line.
  std::string run(const Line& line) {
    MbufPtr frame = make(cache_, line);
    if (frame == nullptr) return "cannot make the frame";
    if (!request_checksums(*frame, line.request)) frame->set_tx_offload(line.request);
    const Stats before = from_.stats();
    Burst<1> burst;
    if (!burst.push(frame) || from_.tx(0).tx_burst(burst) != 1) return "the queue is full";
    if (const std::string name = new_drop(before, from_.stats()); !name.empty()) return "dropped " + name;
    return arrived();
  }

 private:
  /// The frames that arrive before a marker that is sent after them.
  std::string arrived() {
    const Line marker{.request = {}, .first = 60, .frame = marker_frame()};
    Burst<1> last;
    MbufPtr mbuf = make(cache_, marker);
    if (mbuf == nullptr || !last.push(mbuf)) return "cannot make the marker";
    std::string text;
    for (const Duration end = context_.clock().now() + kLimit; context_.clock().now() < end;) {
      from_.tx(0).tx_burst(last);
      Burst<32> burst;
      if (to_.rx(0).rx_burst(burst) == 0) context_.clock().sleep_for(std::chrono::microseconds(50));
      bool ended = false;
      for (const Mbuf& frame : burst) {
        const std::string hex = hex_of(frame);
        ended = ended || hex == hex_of(marker.frame);
        if (!ended) text += (text.empty() ? "" : " ") + hex;
      }
      burst.drop(read_, cache_);
      if (ended) return text;
    }
    last.drop(read_, cache_);
    return "the marker did not arrive";
  }
  static std::vector<std::uint8_t> marker_frame() {
    std::vector<std::uint8_t> frame(60);
    std::fill_n(frame.begin(), 6, std::uint8_t{0xFF});
    frame[6] = 0x02;
    frame[12] = 0x88;  // IEEE 802's EtherType for local experiments
    frame[13] = 0xB5;
    return frame;
  }
  static std::string hex_of(const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
    return text;
  }
  static std::string hex_of(const Mbuf& mbuf) {
    std::vector<std::uint8_t> bytes(mbuf.packet_length());
    bytes.resize(mbuf.copy_out(0, bytes));
    return hex_of(bytes);
  }

  Context& context_;
  Port& from_;
  Port& to_;
  MempoolCache& cache_;
  DropCounter read_{"read"};
};

int fail(const Error& error) {
  std::cerr << error.message() << '\n';
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const bool card_tags = argc == 4 && std::string_view(argv[1]) == "--card-tags";
  if (argc != 3 && !card_tags) {
    std::cerr << "usage: offload_tool [--card-tags] URI URI\n";
    return 2;
  }
  char** const uris = argv + (card_tags ? 2 : 1);
  Context context;
  auto pool = Mempool::create(context, {.count = 2048});
  if (!pool) return fail(pool.error());
  MempoolCache cache(*pool);
  const Settings config{.rx = {{.pool = *pool, .cache = cache}}, .tx = {{.cache = cache}}, .mtu = 9000};
  auto from = open(context, uris[0], config);
  if (!from) return fail(from.error());
  auto to = open(context, uris[1], config);
  if (!to) return fail(to.error());
  for (Port* port : {&*from, &*to}) {
    if (auto up = port->wait_for_link(std::chrono::seconds(10)); !up) return fail(up.error());
  }
  // A card that strips tags also inserts them (Settings::vlan_stripping).
  if (card_tags) {
    if (auto set = from->change([](Settings& settings) { settings.vlan_stripping = true; }); !set)
      return fail(set.error());
  }
  Tool tool(context, *from, *to, cache);
  for (std::string line; std::getline(std::cin, line);) std::cout << tool.run(parse(line)) << std::endl;
}
