// SPDX-License-Identifier: BSD-3-Clause
// `pollux capture`: the frames of a port of a running program.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/cli.hpp"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/open_file.hpp"
#include "capture/captured_port.hpp"
#include "capture/copy_capture.hpp"
#include "commands.hpp"
#include "common/stop_signals.hpp"
#include "report.hpp"

namespace pollux::tool {
namespace {

struct CaptureCommand {
  std::string port;
  std::vector<std::string> filter;
  std::string file;
  std::uint32_t snaplen = 262144;
  std::optional<std::uint64_t> frames;
  std::optional<double> seconds;
  std::string direction = "both";
  bool drops = false;
  bool all_users = false;
};

/// Whether somebody else has made the pipe in a folder where all may, such as /tmp, so that the frames would be theirs:
/// proc(5), /proc/sys/fs/protected_fifos, which is not on everywhere.
bool is_pipe_of_others(const FileDescriptor& pipe, const std::string& path) {
  struct stat made {};
  struct stat folder {};
  const auto parent = std::filesystem::absolute(path).parent_path();
  if (::fstat(pipe.get(), &made) != 0 || ::stat(parent.c_str(), &folder) != 0 || !S_ISFIFO(made.st_mode)) return false;
  const bool open_to_all = (folder.st_mode & S_ISVTX) != 0 && (folder.st_mode & S_IWOTH) != 0;
  return open_to_all && made.st_uid != ::geteuid() && made.st_uid != folder.st_uid;
}

/// The file, or a copy of standard output for "-".
Result<FileDescriptor> open_output(const std::string& file) {
  if (file == "-") {
    if (::isatty(STDOUT_FILENO) != 0) {
      return fail(ErrorCode::invalid_argument, "a capture is not written to a terminal",
                  "pipe it, as in: pollux capture plx0 -w - | tshark -r -");
    }
    FileDescriptor copy(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
    if (copy) return copy;
  } else if (struct stat status{}; ::stat(file.c_str(), &status) != 0 || S_ISREG(status.st_mode)) {
    return open_output_file(file, "capture");
  } else {
    FileDescriptor opened(::open(file.c_str(), O_WRONLY | O_CLOEXEC));  // a pipe
    if (opened && is_pipe_of_others(opened, file)) {
      return fail(ErrorCode::permission_denied, file + " is a pipe of another user's in a folder where all may write",
                  "make the pipe in a folder of your own");
    }
    if (opened) return opened;
  }
  const int error = errno;
  const ErrorCode code = error == EACCES || error == EROFS ? ErrorCode::permission_denied : ErrorCode::io_error;
  return fail_errno(code, "cannot open " + file, error, "name a file that can be written, or - for standard output");
}

std::string joined_words(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all = joined(all, word);
  return all;
}

Result<void> capture(const Environment& environment, const CaptureCommand& command) {
  const tools::StopSignals stop;
  const auto from = select_captured_port(
      running_ports(telemetry_directories(command.all_users ? Users::all : Users::own)), command.port);
  if (!from) return tl::unexpected<Error>(from.error());
  CaptureRequest request{.filter = joined_words(command.filter),
                         .snaplen = command.snaplen,
                         .receive = command.direction != "out",
                         .transmit = command.direction != "in"};
  if (command.drops) request.drops = true;
  if (command.direction == "out") request.drops = command.drops;
  // The program rejects a bad filter or queue before a file is overwritten.
  auto running = start_capture(*from, request);
  if (!running) return pass_on(std::move(running));
  const auto out = open_output(command.file);
  if (!out) return tl::unexpected<Error>(out.error());
  environment.err << fmt::format("capturing {} ({} of {}, process {}); Ctrl-C ends it\n", command.port, from->port.uri,
                                 from->port.program, from->port.pid)
                  << std::flush;
  CopyLimits limits{.frames = command.frames, .time = {}, .stop = [&stop] { return stop.raised(); }};
  if (command.seconds)
    limits.time = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(*command.seconds));
  const auto counts = copy_capture(*std::move(running), out->get(), limits);
  if (!counts) return tl::unexpected<Error>(counts.error());
  environment.err << fmt::format("{} frames captured, {} lost by the tap\n", counts->frames(), counts->lost());
  return {};
}

}  // namespace

void add_capture(cli::App& app, const Environment& environment, int& exit_code) {
  constexpr double kMaxSeconds = 1e9;
  constexpr std::uint32_t kMaxSnaplen = 262144;
  auto options = std::make_shared<CaptureCommand>();
  cli::App* command = app.add_subcommand("capture", "Capture the frames of a running program's port, as pcapng");
  command
      ->add_option("port", options->port,
                   "A port of `pollux ports`: its name, its URI or its process, perhaps with a queue, as in plx0/2")
      ->required();
  command->add_option("filter", options->filter, "An expression of pcap-filter(7), as for tcpdump");
  command->add_option("-w,--write", options->file, "The file; - is standard output")->required();
  command->add_option("-s,--snaplen", options->snaplen, "Bytes of each frame (the default is 262144)")
      ->check(cli::range(std::uint32_t{1}, kMaxSnaplen));
  command->add_option("-c,--count", options->frames, "End after so many frames")->check(cli::count());
  command->add_option("--seconds", options->seconds, "End after this time")->check(cli::range(0.0, kMaxSeconds));
  command->add_option("--direction", options->direction, "in, out or both (the default)")
      ->check(cli::one_of({"in", "out", "both"}));
  command->add_flag("--drops", options->drops,
                    "Show frames that the program drops, with the reason; the default unless one queue is selected");
  command->add_flag("--all-users", options->all_users, "As root: also ask the programs of other users");
  command->footer(
      "The program needs telemetry, as with l2fwd --telemetry. It loses no frame: what the capture has no room for is\n"
      "counted in the file. Queues of a forward path (l2fwd --fused) cannot be captured.\n"
      "Examples:\n"
      "  pollux capture plx0 -w x.pcapng\n"
      "  pollux capture plx0/1 'tcp port 80' -w - | tshark -r -\n"
      "  wireshark -k -i plx0       # with pollux-extcap in Wireshark's folder for extcap: "
      "share/doc/pollux/capture.md");
  command->callback([options, &environment, &exit_code] {
    const auto captured = capture(environment, *options);
    exit_code = captured ? kSuccess : report(environment, captured.error());
  });
}

}  // namespace pollux::tool
