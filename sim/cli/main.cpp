#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/base/registry.hpp"
#include "sim/cli/bench/command.hpp"
#include "sim/cli/calibrate/command.hpp"
#include "sim/cli/compare/command.hpp"
#include "sim/cli/device/command.hpp"
#include "sim/cli/explain_command.hpp"
#include "sim/cli/inspect/command.hpp"
#include "sim/cli/list/command.hpp"
#include "sim/cli/messages.hpp"
#include "sim/cli/options/subcommands.hpp"
#include "sim/cli/report/command.hpp"
#include "sim/cli/result/command.hpp"
#include "sim/cli/run/run_command.hpp"
#include "sim/cli/schema_command.hpp"
#include "sim/cli/signals.hpp"
#include "sim/cli/trace/command.hpp"
#include "sim/sweep/failure.hpp"

namespace kvr {

namespace {

using Args = std::span<const std::string>;

constexpr std::array kCommands = {
    cli::Subcommand{"run", "replay every point of a configuration",
                    [](Args args, std::FILE*, bool quiet) { return run_run_command(args, quiet); }},
    cli::Subcommand{"list", "what can stand in a configuration",
                    [](Args args, std::FILE* out, bool) { return run_list_command(args, out); }},
    cli::Subcommand{"explain", "every value of a configuration and where it came from",
                    [](Args args, std::FILE* out, bool) { return run_explain_command(args, out); }},
    cli::Subcommand{"schema", "JSON Schema of configurations, for editors",
                    [](Args args, std::FILE* out, bool) { return run_schema_command(args, out); }},
    cli::Subcommand{"compare", "what moved between two results, and whether that is a regression",
                    [](Args args, std::FILE* out, bool) { return run_compare_command(args, out); }},
    cli::Subcommand{"result", "look into results, and turn them into tables", run_result_command},
    cli::Subcommand{"report", "a page about results for a browser, in one file", run_report_command},
    cli::Subcommand{"inspect", "what a head chose in one step, unit by unit, and what was read for it",
                    [](Args args, std::FILE* out, bool) { return run_inspect_command(args, out); }},
    cli::Subcommand{"trace", "look at, check and make traces", run_trace_command},
    cli::Subcommand{"calibrate", "find the directions that keys of a model have in common",
                    run_calibrate_command},
    cli::Subcommand{"device", "curves of a device model; fit one to a real part, and probe that",
                    run_device_command},
    cli::Subcommand{"bench", "measure kernels and whole replays on this host",
                    [](Args args, std::FILE*, bool) { return run_bench_command(args); }},
};

constexpr std::array kOptions = {
    cli::GroupOption{"--version", "the version"},
    cli::GroupOption{"--quiet", "no progress; after a command as well"},
};

int dispatch(std::vector<std::string> words) {
  const std::size_t quiet = std::erase(words, "--quiet");
  if (quiet > 1) {
    throw InputError("kvreplay: --quiet: is given twice; allowed: once");
  }
  if (!words.empty() && words[0] == "--version") {
    fmt::print("kvreplay {}\n", KVREPLAY_VERSION);
    return 0;
  }
  return cli::run_subcommand({"kvreplay", kCommands, kOptions}, words, stdout, quiet > 0);
}

/// What stdout still holds may yet fail to be written, e.g. on a full disk.
int with_output_flushed(int exit_code) {
  if (std::fflush(stdout) != 0) {
    throw SystemError(fmt::format("the standard output cannot be written: {}", std::strerror(errno)));
  }
  return exit_code;
}

/// What the C++ library says of the system: fmt could not print, a thread or a folder is not to be had.
std::string reason_of(const std::system_error& error) {
  return std::ferror(stdout) != 0
             ? fmt::format("the standard output cannot be written: {}", error.code().message())
             : error.what();
}

int run(const std::vector<std::string>& words) {
  try {
    Catalogue::instance().throw_if_faulty();
    return with_output_flushed(dispatch(words));
  } catch (const cli::Interrupted&) {
    cli::end_by_signal();
  } catch (const std::system_error& error) {
    cli::say("{}\n", reason_of(error));
    return sweep::kSystemExit;
  } catch (const std::bad_alloc&) {
    cli::say("there is not enough memory for 'kvreplay {}'\n", fmt::join(words, " "));
    return sweep::kSystemExit;
  } catch (const std::exception&) {
    const sweep::Failure failure = sweep::failure_at_hand();
    cli::say("{}\n", failure.text);
    return failure.exit_code;
  }
}

/// A file that is opened must not get the number of a standard stream that the caller closed, or messages
/// would go into it. What stands in is opened so that using it fails, as it would have.
void occupy_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) < 0) {  // open takes the lowest number that is free, which is this one
      open("/dev/null", (stream == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
    }
  }
}

}  // namespace

}  // namespace kvr

int main(int argc, char** argv) {
  kvr::occupy_standard_streams();
  kvr::cli::handle_signals();
  return kvr::run(std::vector<std::string>(argv + 1, argv + argc));
}
