// Commands on several ranks: processes that mpirun starts, on this machine (--ranks N) or on many (mpirun -n N fovea ...).
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "fovea/comm.h"

namespace fovea::cli {

/// --ranks.
struct RankOptions {
    int count = 1;
    void add_to(CLI::App& command);
};

/// Runs `body` on the ranks this process belongs to. With --ranks in a process that mpirun did not start, mpirun is started on this machine with the same
/// command line, and CLI::RuntimeError brings its exit code. What `body` throws on one of several ranks is said in one line and ends them all.
void on_ranks(const RankOptions& options, std::string_view command, const std::function<void(Communicator&)>& body);

}  // namespace fovea::cli
