#include "ranks.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "command.h"

namespace fovea::cli {

namespace {

// Where the ranks write to: process, its stdout, its stderr. mpirun would mix its own words with theirs, and show no bar.
constexpr const char* output_variable = "FOVEA_OUTPUT_OF";

std::atomic<pid_t> launcher{0};
std::atomic<int> interrupts{0};

/// The first time ranks finish their step and save, for which mpirun hands SIGUSR1 on; then it ends them.
extern "C" void pass_on(int) {
    const pid_t pid = launcher.load();
    if (pid > 0) ::kill(pid, interrupts++ == 0 ? SIGUSR1 : SIGTERM);
}

/// The command line of this process without --ranks.
std::vector<std::string> own_arguments() {
    std::ifstream file("/proc/self/cmdline", std::ios::binary);
    std::vector<std::string> words;
    for (std::string word; std::getline(file, word, '\0');) words.push_back(word);
    std::vector<std::string> kept;
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (words[i] == "--ranks") ++i;
        else if (!words[i].starts_with("--ranks=")) kept.push_back(words[i]);
    }
    return kept;
}

/// One of this process's outputs as the ranks reach it: itself where it is a terminal, else a pipe that this process empties into it. (A file opened a
/// second time would have a place of its own to write at.)
class Outlet {
public:
    explicit Outlet(int fd) : fd_(fd), for_ranks_(fd) {
        int ends[2];
        if (::isatty(fd) == 1 || ::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
        from_ranks_ = ends[0];
        for_ranks_ = ends[1];
    }
    ~Outlet() {
        if (from_ranks_ >= 0) ::close(from_ranks_), ::close(for_ranks_);
    }
    Outlet(const Outlet&) = delete;
    Outlet& operator=(const Outlet&) = delete;
    [[nodiscard]] int for_ranks() const { return for_ranks_; }
    [[nodiscard]] int from_ranks() const { return from_ranks_; }
    void empty() const {
        char buffer[4096];
        ssize_t got = 0;
        while (from_ranks_ >= 0 && (got = ::read(from_ranks_, buffer, sizeof(buffer))) > 0)
            for (ssize_t done = 0, wrote = 0; done < got && (wrote = ::write(fd_, buffer + done, static_cast<std::size_t>(got - done))) > 0;) done += wrote;
    }

private:
    int fd_, for_ranks_, from_ranks_ = -1;
};

/// What Open MPI's mpirun needs to know for ranks on one machine. A variable that is set already stays.
void set_environment(const Outlet& out, const Outlet& err) {
    const auto set = [](const char* name, const char* value) { ::setenv(name, value, 0); };
    ::setenv(output_variable, fmt::format("{} {} {}", ::getppid(), out.for_ranks(), err.for_ranks()).c_str(), 1);
    set("OMPI_MCA_rmaps_base_oversubscribe", "1");
    set("OMPI_MCA_hwloc_base_binding_policy", "none");  // else each rank is bound to one core, whatever its threads
    set("OMPI_MCA_plm", "isolated");                    // no ssh
    set("OMPI_MCA_pml", "ob1");
    set("OMPI_MCA_btl", "self,vader");
    set("OMPI_MCA_btl_vader_single_copy_mechanism", "none");  // containers forbid reading another process's memory
    set("OMPI_MCA_mpi_yield_when_idle", "1");
    if (::geteuid() == 0) set("OMPI_ALLOW_RUN_AS_ROOT", "1"), set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
}

/// "rank 1 ended on signal 9 (Killed)" from what mpirun says, else its first line.
std::string cause_in(const std::string& text) {
    const std::size_t rank = text.find("process rank "), signal = text.find("exited on signal ");
    if (rank != std::string::npos && signal != std::string::npos) {
        const std::string number = text.substr(rank + 13, text.find(' ', rank + 13) - rank - 13);
        std::string what = text.substr(signal + 7, text.find('.', signal) - signal - 7);
        for (char& c : what)
            if (c == '\n') c = ' ';
        return fmt::format("rank {} ended {}", number, what);
    }
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);)
        if (line.find_first_not_of("-= \t") != std::string::npos) return "mpirun: " + line;
    return "a rank ended before the others";
}

/// mpirun on this machine; returns the exit code. Ranks write their own messages.
int launch(int count, std::string_view command) {
    int pipe_ends[2];
    if (::pipe2(pipe_ends, O_CLOEXEC) != 0) throw Error(fmt::format("--ranks: no pipe to mpirun: {}", std::strerror(errno)));
    std::vector<std::string> words{"mpirun", "-n", std::to_string(count), "/proc/self/exe"};
    char path[4096];
    const ssize_t length = ::readlink("/proc/self/exe", path, sizeof(path));
    if (length > 0) words[3] = std::string(path, static_cast<std::size_t>(length));
    for (std::string& word : own_arguments()) words.push_back(std::move(word));
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    std::fflush(nullptr);
    const Outlet out(STDOUT_FILENO), err(STDERR_FILENO);
    const pid_t child = ::fork();
    if (child < 0) throw Error(fmt::format("--ranks: mpirun cannot be started: {}", std::strerror(errno)));
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // killed, this process takes the ranks along
        ::setpgid(0, 0);                     // a Ctrl-C comes here alone
        set_environment(out, err);
        const int nothing = ::open("/dev/null", O_RDONLY);
        ::dup2(nothing, STDIN_FILENO);
        ::dup2(pipe_ends[1], STDERR_FILENO);
        ::execvp("mpirun", pointers.data());
        ::_exit(127);
    }
    ::close(pipe_ends[1]);
    launcher = child;
    std::signal(SIGINT, pass_on);
    std::signal(SIGTERM, pass_on);
    std::string said;
    char buffer[4096];
    while (true) {
        pollfd waited[]{{pipe_ends[0], POLLIN, 0}, {out.from_ranks(), POLLIN, 0}, {err.from_ranks(), POLLIN, 0}};
        if (::poll(waited, 3, -1) < 0 && errno != EINTR) break;
        out.empty();
        err.empty();
        if (waited[0].revents == 0) continue;
        const ssize_t got = ::read(pipe_ends[0], buffer, sizeof(buffer));
        if (got > 0) said.append(buffer, static_cast<std::size_t>(got));
        else if (got == 0 || errno != EINTR) break;
    }
    out.empty();
    err.empty();
    ::close(pipe_ends[0]);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    launcher = 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (code == 127) throw Error("--ranks needs mpirun, which is not there: install openmpi-bin");
    if (code == 0) return interrupts > 0 ? 130 : 0;
    if (code == 1 || code == 2) {  // a rank has said why; where it could not reach the outlet, mpirun has its line
        std::istringstream lines(said);
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with("fovea")) fmt::print(stderr, "{}\n", line);
        return code;
    }
    fmt::print(stderr, "fovea {}: {}; all ranks were ended. What was saved stays: --resume with the same --out goes on from there\n", command, cause_in(said));
    return 1;
}

/// Output goes to the process that started mpirun; only rank 0 has something to say.
void take_output(int rank) {
    if (const char* told = std::getenv(output_variable)) {
        std::istringstream words(told);
        std::string owner, theirs;
        words >> owner;
        for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
            words >> theirs;
            const int opened = ::open(fmt::format("/proc/{}/fd/{}", owner, theirs).c_str(), O_WRONLY | O_CLOEXEC);
            if (opened >= 0) ::dup2(opened, fd), ::close(opened);
        }
    }
    if (rank == 0) return;
    const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nothing >= 0) ::dup2(nothing, STDOUT_FILENO), ::close(nothing);
    set_quiet(true);
}

/// One line, then the end of all ranks. What every rank notices, rank 0 says.
[[noreturn]] void end_all(Communicator& ranks, std::string_view command, const std::exception& error) {
    const bool is_usage = dynamic_cast<const ArgumentError*>(&error) != nullptr || dynamic_cast<const CLI::ParseError*>(&error) != nullptr;
    if (ranks.rank() > 0) std::this_thread::sleep_for(std::chrono::seconds(2));
    std::string text = error.what();
    for (char& c : text)
        if (c == '\n') c = ' ';
    fmt::print(stderr, "fovea {}: {}{}\n", command, ranks.rank() == 0 ? "" : fmt::format("rank {}: ", ranks.rank()), text);
    std::fflush(nullptr);
    ranks.abort(is_usage ? 2 : 1);
    std::_Exit(1);  // GCC does not see that a virtual function is [[noreturn]]
}

}  // namespace

void RankOptions::add_to(CLI::App& command) {
    command.add_option("--ranks", count, "Processes on this machine that train together, started with mpirun; each batch is shared out (on many machines: mpirun ... fovea train ...)")->check(CLI::Range(1, 4096));
}

void on_ranks(const RankOptions& options, std::string_view command, const std::function<void(Communicator&)>& body) {
    if (options.count > 1 && !is_started_by_mpi()) {
        if (const std::string lack = lacks_mpi(); !lack.empty()) throw Error(fmt::format("--ranks {}: {}", options.count, lack));
        if (const int code = launch(options.count, command); code != 0) throw CLI::RuntimeError(code);
        return;
    }
    const std::unique_ptr<Communicator> ranks = open_communicator();
    if (ranks->size() == 1) return body(*ranks);
    take_output(ranks->rank());
    try {
        body(*ranks);
    } catch (const std::exception& error) {
        end_all(*ranks, command, error);
    }
}

}  // namespace fovea::cli
