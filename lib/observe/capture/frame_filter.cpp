// SPDX-License-Identifier: BSD-3-Clause
#include "observe/capture/frame_filter.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <new>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/signals_blocked.hpp"

namespace pollux::observe {
namespace {

// The keywords of pcap-filter(7) but for those that Kind names, and its constants, with a space on each side.
constexpr std::string_view kKeywords =
    " aarp action addr1 addr2 addr3 addr4 address1 address2 address3 address4 ah arp atalk bcc broadcast byte carp "
    "clnp connectmsg csnp decnet dir direction dpc dst es-is esis esp ether fddi fisu gateway geneve greater hdpc "
    "hfisu hlssu hmsu hopc host hsio hsls icmp icmp-echo icmp-echoreply icmp-ireq icmp-ireqreply icmp-maskreply "
    "icmp-maskreq icmp-paramprob icmp-redirect icmp-routeradvert icmp-routersolicit icmp-sourcequench "
    "icmp-timxceed icmp-tstamp icmp-tstampreply icmp-unreach icmp6 icmp6-certpathadvert icmp6-certpathsolicit "
    "icmp6-destinationunreach icmp6-echo icmp6-echoreply icmp6-homeagentdiscoveryreply "
    "icmp6-homeagentdiscoveryrequest icmp6-ineighbordiscoveryadvert icmp6-ineighbordiscoverysolicit "
    "icmp6-mobileprefixadvert icmp6-mobileprefixsolicit icmp6-multicastlistenerdone icmp6-multicastlistenerquery "
    "icmp6-multicastlistenerreportv1 icmp6-multicastlistenerreportv2 icmp6-multicastrouteradvert "
    "icmp6-multicastroutersolicit icmp6-multicastrouterterm icmp6-neighboradvert icmp6-neighborsolicit "
    "icmp6-nodeinformationquery icmp6-nodeinformationresponse icmp6-packettoobig icmp6-parameterproblem "
    "icmp6-redirect icmp6-routeradvert icmp6-routerrenum icmp6-routersolicit icmp6-timeexceeded icmp6code "
    "icmp6type icmpcode icmptype ifindex ifname igmp igrp iih ilmic inbound ip ip6 ipx is-is isis iso l1 l2 lane "
    "lat len length less link llc lsp lssu lsu mask metac metaconnect mopdl moprc mpls msu multicast net netbeui not "
    "oam oamf4 oamf4ec oamf4sc on opc outbound pim ppp pppoed pppoes psnp ra radio rarp reason rnr rset rulenum "
    "ruleset sc sca sctp sio slip sls snp src srnr stp subrulenum subtype ta tcp tcp-ack tcp-cwr tcp-ece tcp-fin "
    "tcp-push tcp-rst tcp-syn tcp-urg tcpflags tr type udp vci vlan vpi vrrp wlan ";

enum class Kind : std::uint8_t {
  name,      ///< what libpcap takes for a name
  value,     ///< a number or an address
  services,  ///< a keyword before names of ports or protocols
  joins,     ///< "and", "or"
  other,     ///< other keywords and characters
};

struct Token {
  Kind kind;
  std::string_view text;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
bool is_alphanumeric(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_in_word(char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; }
bool is_in_address(char c) { return is_hex(c) || c == ':' || c == '.'; }

bool is_number(std::string_view text) {
  if (text.starts_with("0x") || text.starts_with("0X"))
    return text.size() > 2 && std::ranges::all_of(text.substr(2), is_hex);
  return !text.empty() && std::ranges::all_of(text, is_digit);
}

bool is_hex_of(std::string_view text, std::size_t least, std::size_t most) {
  return text.size() >= least && text.size() <= most && std::ranges::all_of(text, is_hex);
}

/// The number of parts between the separators, if all are as `fits` wants them; else 0.
template <class Fits>
std::size_t parts_of(std::string_view text, char separator, Fits fits) {
  for (std::size_t parts = 1;; ++parts) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (!fits(text.substr(0, end))) return 0;
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

bool is_mac(std::string_view text, char separator) {
  return parts_of(text, separator, [](std::string_view part) { return is_hex_of(part, 1, 2); }) == 6;
}

/// 7, 10.1, 192.0.2.1, and addresses of Ethernet that have no colons.
bool is_value(std::string_view word) {
  const std::size_t numbers = parts_of(word, '.', is_number);
  if ((numbers >= 1 && numbers <= 4) || is_mac(word, '-') || is_mac(word, '.')) return true;
  return is_hex_of(word, 12, 12) ||
         parts_of(word, '.', [](std::string_view part) { return is_hex_of(part, 4, 4); }) == 3;
}

bool is_ipv6(std::string_view text) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, std::string(text).c_str(), &address) == 1;
}

template <class Belongs>
std::string_view run_of(std::string_view text, Belongs belongs) {
  return text.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(text, belongs) - text.begin()));
}

Kind kind_of(std::string_view word) {
  if (word == "port" || word == "portrange" || word == "proto" || word == "protochain") return Kind::services;
  if (word == "and" || word == "or") return Kind::joins;
  if (kKeywords.find(fmt::format(" {} ", word)) != std::string_view::npos) return Kind::other;
  return is_value(word) ? Kind::value : Kind::name;
}

/// The first token of a text that begins with none of white space. Tokens are those of libpcap's scanner, the longest
/// ones.
Token first_token(std::string_view text) {
  const std::string_view address = run_of(text, is_in_address);
  const bool ends = address.size() == text.size() || !is_in_word(text[address.size()]);
  if (ends && address.find(':') != std::string_view::npos && (is_mac(address, ':') || is_ipv6(address)))
    return {Kind::value, address};
  if (is_alphanumeric(text[0])) {
    std::string_view word = run_of(text, is_in_word);
    while (word.back() == '-' || word.back() == '_') word.remove_suffix(1);
    return {kind_of(word), word};
  }
  // A word after a backslash is a name although it may be a keyword.
  if (text[0] == '\\' || text[0] == '$')
    return {Kind::name, text.substr(0, std::min(text.find_first_of(" !()"), text.size()))};
  if (text.starts_with("&&") || text.starts_with("||")) return {Kind::joins, text.substr(0, 2)};
  return {Kind::other, text.substr(0, 1)};
}

/// Takes the next token off the expression; nullopt at its end.
std::optional<Token> take_token(std::string_view& expression) {
  expression.remove_prefix(std::min(expression.find_first_not_of(' '), expression.size()));
  if (expression.empty()) return std::nullopt;
  const Token token = first_token(expression);
  expression.remove_prefix(token.text.size());
  return token;
}

/// Number of words in the expression: keywords, names, numbers and addresses.
std::size_t count_words(std::string_view expression) {
  std::size_t words = 0;
  while (const auto token = take_token(expression)) {
    if (is_in_address(token->text[0]) || is_alphanumeric(token->text[0])) ++words;
  }
  return words;
}

/// The first word of a filter expression (pcap-filter(7)) that libpcap would look up as the name of a host or network,
/// which may ask a name server and take many seconds. nullopt: there is none. Names of ports and protocols are read
/// from files. They are accepted only right after "port", "portrange", "proto" and "protochain", in a list of those and
/// in one pair of parentheses after such a word; in doubt, a word counts as a name.
///
/// A name belongs to the last qualifiers before it, also as "443" in "port 80 or 443". Which ones these are after a
/// parenthesis or a negation depends on the whole expression, so a name there is none of a service.
std::optional<std::string> name_to_look_up(std::string_view expression) {
  enum class After : std::uint8_t { keyword, service, joint, other };  // joint: "and" or "or" in a list of services
  After after = After::other;
  while (const auto token = take_token(expression)) {
    const bool is_word = token->kind == Kind::name || token->kind == Kind::value;
    if (token->kind == Kind::services) {
      after = After::keyword;
    } else if (is_word && (after == After::keyword || after == After::joint)) {
      after = After::service;
    } else if (token->kind == Kind::name) {
      return std::string(token->text);
    } else if (token->kind == Kind::joins && after == After::service) {
      after = After::joint;
    } else if (token->text != "(" || after != After::keyword) {
      after = After::other;
    }
  }
  return std::nullopt;
}

struct CloseHandle {
  void operator()(pcap_t* handle) const noexcept { ::pcap_close(handle); }
};

// The largest snapshot length of tcpdump. What is copied of a frame is another setting.
constexpr int kSnapLength = 262144;

bool is_printable(char c) { return c >= ' ' && c <= '~'; }

/// Whether the program loads what only the kernel knows of a packet, from offsets that are negative as 32 bits (Linux,
/// include/uapi/linux/filter.h). Elsewhere such a load does not match.
bool asks_the_kernel(const bpf_program& program) {
  constexpr std::uint32_t kFirstOffset = 0x8000'0000;
  return std::any_of(program.bf_insns, program.bf_insns + program.bf_len, [](const bpf_insn& instruction) {
    return BPF_CLASS(instruction.code) == BPF_LD && BPF_MODE(instruction.code) == BPF_ABS &&
           instruction.k >= kFirstOffset;
  });
}

}  // namespace

void FrameFilter::Free::operator()(bpf_program* program) const noexcept {
  ::pcap_freecode(program);
  delete program;
}

Result<void> FrameFilter::check(const std::string& expression, const std::string& port) {
  if (expression.size() > kMaxLength) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has {} bytes", port, expression.size()),
                fmt::format("use at most {} bytes", kMaxLength));
  }
  // libpcap's parser ends at a zero byte.
  if (!std::ranges::all_of(expression, is_printable)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has a character that is not ASCII text", port),
                "write it as for tcpdump; pcap-filter(7) has the syntax");
  }
  if (const std::size_t words = count_words(expression); words > kMaxWords) {
    return fail(ErrorCode::invalid_argument, fmt::format("{}: the capture filter has {} words", port, words),
                fmt::format("write a simpler one, of at most {}", kMaxWords));
  }
  if (const auto name = name_to_look_up(expression)) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{}: bad capture filter '{}': '{}' is neither a keyword nor an address", port, expression, *name),
        "write it as for tcpdump (pcap-filter(7)); if it is the name of a host or network, give its address");
  }
  return {};
}

Result<FrameFilter::Program> FrameFilter::translate(const std::string& expression, const std::string& port,
                                                    bool optimize) {
  const std::unique_ptr<pcap_t, CloseHandle> handle(::pcap_open_dead(DLT_EN10MB, kSnapLength));
  if (handle == nullptr)
    return fail(ErrorCode::no_memory, port + ": libpcap has no memory for the capture filter", "free some memory");
  auto program = std::make_unique<bpf_program>();
  if (::pcap_compile(handle.get(), program.get(), expression.c_str(), optimize ? 1 : 0, PCAP_NETMASK_UNKNOWN) != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: bad capture filter '{}': {}", port, expression, ::pcap_geterr(handle.get())),
                "write it as for tcpdump; pcap-filter(7) has the syntax");
  }
  return Program(program.release());
}

Result<FrameFilter> FrameFilter::compile(const std::string& expression, const std::string& port) {
  FrameFilter filter;
  if (expression.empty()) return filter;
  if (auto good = check(expression, port); !good) return pass_on(std::move(good));
  // For thousands of instructions the optimizer takes seconds, which is a hundred times as long as the rest.
  const auto plain = translate(expression, port, false);
  if (!plain) return tl::unexpected<Error>(plain.error());
  if ((*plain)->bf_len > kMaxInstructions) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: the capture filter has {} instructions", port, (*plain)->bf_len),
                fmt::format("write a simpler one, of at most {}", kMaxInstructions));
  }
  if (asks_the_kernel(**plain)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: bad capture filter '{}': inbound, outbound and ifindex are for captures by the kernel",
                            port, expression),
                "select frames by the capture's own direction and queue (--direction in, plx0/1) instead");
  }
  auto program = translate(expression, port, true);
  if (!program) return pass_on(std::move(program));
  filter.program_ = *std::move(program);
  return filter;
}

bool FrameFilter::accepts(const std::uint8_t* data, std::uint32_t length, std::uint32_t held) const noexcept {
  return program_ == nullptr || ::bpf_filter(program_->bf_insns, data, length, held) != 0;
}

namespace {

/// A tenth of the share of an ordinary thread.
constexpr int kNiceness = 10;

Result<FrameFilter> compile(const std::string& expression, const std::string& port) noexcept {
  try {
    return FrameFilter::compile(expression, port);
  } catch (const std::bad_alloc&) {
    return tl::unexpected(Error{ErrorCode::no_memory, "no memory", "free some"});  // short texts, which need none
  }
}

}  // namespace

Result<std::unique_ptr<FilterCompiler>> FilterCompiler::create() {
  FileDescriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event) return fail_errno(ErrorCode::io_error, "no file descriptor is left for telemetry", errno);
  return std::unique_ptr<FilterCompiler>(new FilterCompiler(std::move(event)));
}

FilterCompiler::~FilterCompiler() {
  {
    const std::lock_guard lock(mutex_);
    waiting_.clear();
  }
  if (thread_.joinable()) thread_.join();
}

void FilterCompiler::add(std::uint64_t client, uid_t user, std::string expression, std::string port) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back({client, user, std::move(expression), std::move(port)});
  if (!running_) start_thread();
}

// The thread before has ended, or is about to without the lock.
void FilterCompiler::start_thread() {
  if (thread_.joinable()) thread_.join();
  const SignalsBlocked blocked;
  try {
    thread_ = OwnThread([this] { work(); });
    running_ = true;
  } catch (const std::system_error& error) {
    waiting_.front().filter =
        fail_errno(ErrorCode::io_error, "the thread that compiles capture filters cannot be started",
                   error.code().value(), "raise ulimit -u");
    deliver(waiting_);
  } catch (const std::bad_alloc&) {
    waiting_.pop_back();
    throw;
  }
}

/// The first job of `from` is done.
void FilterCompiler::deliver(Jobs& from) noexcept {
  ready_.splice(ready_.end(), from, from.begin());
  static_cast<void>(::eventfd_write(event_.get(), 1));
}

void FilterCompiler::work() noexcept {
  pthread_setname_np(pthread_self(), "pollux-filter");
  // Linux has a niceness for each thread. If it cannot be set, the thread works all the same.
  static_cast<void>(::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness));
  Jobs job;
  std::optional<uid_t> last;
  std::unique_lock lock(mutex_);
  for (; !waiting_.empty(); deliver(job)) {
    auto next = std::ranges::find_if(waiting_, [&](const Job& waiting) { return waiting.user != last; });
    if (next == waiting_.end()) next = waiting_.begin();
    last = next->user;
    job.splice(job.end(), waiting_, next);
    lock.unlock();
    job.front().filter = compile(job.front().expression, job.front().port);
    lock.lock();
  }
  running_ = false;
}

void FilterCompiler::forget(std::uint64_t client) {
  const std::lock_guard lock(mutex_);
  std::erase_if(waiting_, [client](const Job& job) { return job.client == client; });
}

std::optional<FilterCompiler::Compiled> FilterCompiler::take() {
  const std::lock_guard lock(mutex_);
  if (ready_.empty()) {
    eventfd_t count = 0;
    static_cast<void>(::eventfd_read(event_.get(), &count));
    return std::nullopt;
  }
  std::optional<Compiled> next({ready_.front().client, std::move(ready_.front().filter)});
  ready_.pop_front();
  return next;
}

}  // namespace pollux::observe
