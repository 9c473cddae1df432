// Several processes ("ranks") that compute one thing together: what they say to one another.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/core.h"

namespace fovea {

/// The ranks of one run. Every rank calls the same functions in the same order. Sums may be waited for on any thread, one call at a time from
/// outside; nothing here polls without giving the core away after some microseconds.
class Communicator {
public:
    virtual ~Communicator() = default;

    [[nodiscard]] virtual int rank() const = 0;
    [[nodiscard]] virtual int size() const = 0;

    /// Begins to replace `values` (f32 or f64) by the sums over all ranks and comes back at once; they are nobody's until finish_sum() with
    /// their address. Each element is added up in the order of ranks, (v0 + v1) + v2 ...: every rank and every repeat gets the same bits,
    /// however the values are cut into calls.
    virtual void start_sum(std::span<std::byte> values, DType dtype) = 0;
    virtual void finish_sum(const std::byte* values) = 0;

    /// `all` becomes every rank's `mine`, in the order of ranks; mine.size() is the same everywhere.
    virtual void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
    virtual void broadcast(std::span<std::byte> values, int root) = 0;
    virtual void barrier() = 0;

    /// Ends the processes of all ranks now, with this exit code.
    [[noreturn]] virtual void abort(int code) noexcept = 0;
};

/// Where a process stands while the ranks run one step together.
struct RankPlace {
    Communicator* ranks = nullptr;  ///< null: alone
    std::int64_t first_row = 0;     ///< rows of the whole batch that lie with the ranks before: a sample's random numbers go by its place there
    bool is_idle = false;           ///< its rows count nowhere: the batch has fewer of them than there are ranks, and it only keeps step
};

/// Whether this process was started by mpirun (or another launcher that sets its variables).
[[nodiscard]] bool is_started_by_mpi();
/// The ranks that mpirun started, over MPI; without mpirun this process alone. MPI is loaded here and nowhere else: a program that does not
/// call this pays nothing for it. Throws Error in one sentence where the MPI part of fovea was not built or cannot be loaded. An exception
/// that leaves the communicator's scope on one rank ends all ranks.
[[nodiscard]] std::unique_ptr<Communicator> open_communicator();
/// Why ranks cannot be had ("fovea was built without MPI ..."), empty where they can.
[[nodiscard]] std::string lacks_mpi();

// ---- small things that ranks tell one another; a null communicator is one rank ---------------

/// Each rank's values, summed in the order of ranks.
[[nodiscard]] std::vector<double> summed(Communicator* ranks, std::vector<double> values);
/// Each rank's number, in the order of ranks.
[[nodiscard]] std::vector<std::int64_t> gathered(Communicator* ranks, std::int64_t value);
[[nodiscard]] std::vector<std::string> gathered(Communicator* ranks, std::string_view text);
/// Rank 0's.
[[nodiscard]] std::string from_first(Communicator* ranks, std::string_view text);
[[nodiscard]] Tensor from_first(Communicator* ranks, const Tensor& tensor, const Shape& shape, DType dtype);

/// Of `count` things in a row those of one rank: [begin, end).
struct Share {
    std::int64_t begin = 0, end = 0;
    [[nodiscard]] std::int64_t size() const { return end - begin; }
    friend bool operator==(const Share&, const Share&) = default;
};
[[nodiscard]] constexpr Share share_of(std::int64_t count, int rank, int ranks) { return {count * rank / ranks, count * (rank + 1) / ranks}; }

}  // namespace fovea
