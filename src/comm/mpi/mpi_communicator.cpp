// The Communicator over MPI. MPI only moves bytes; values are added up here, in the order of ranks, so that no bit depends on the
// algorithm MPI picks or on who comes first. A long sum goes in two steps, as a ring's does: each rank gets everybody's piece of its own share
// of the elements (all-to-all) and adds them; then all get all shares (all-gather). Together 2 (N - 1) / N times the values' bytes go out of each rank.
//
// Every call is non-blocking and polled: MPI's own waiting would keep a core busy that the kernels want. While long sums are under way a thread
// polls them, so that they go on behind the kernels. One mutex keeps MPI to one thread at a time (MPI_THREAD_SERIALIZED).
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include "comm/module.h"

namespace fovea {

namespace {

using Clock = std::chrono::steady_clock;

// Below this one message that carries everything is quicker than two that carry a part each.
constexpr std::size_t short_bytes = std::size_t{32} << 10;
// How long a waiting thread asks again at once, and then how often.
constexpr std::chrono::microseconds eager{100}, nap{50};

/// Between two looks at something that is not there yet: the core goes to whoever else wants it, at first for a moment.
class Patience {
public:
    void pause() {
        if (Clock::now() - begin_ < eager) ::sched_yield();
        else std::this_thread::sleep_for(nap);
    }

private:
    Clock::time_point begin_ = Clock::now();
};

constexpr std::size_t bytes_of(DType dtype) { return dtype == DType::f64 ? sizeof(double) : sizeof(float); }

/// sum[i] = ((piece 0)[i] + (piece 1)[i]) + ...; pieces lie one after another.
template <class T> void add_up(std::byte* sum, const std::byte* pieces, std::size_t count, int ranks) {
    T* to = reinterpret_cast<T*>(sum);
    const T* from = reinterpret_cast<const T*>(pieces);
    constexpr std::size_t block = 2048;  // stays in the first-level cache while the pieces pass
    for (std::size_t first = 0; first < count; first += block) {
        const std::size_t end = std::min(count, first + block);
        std::copy(from + first, from + end, to + first);
        for (int r = 1; r < ranks; ++r) {
            const T* piece = from + static_cast<std::size_t>(r) * count;
            for (std::size_t i = first; i < end; ++i) to[i] += piece[i];
        }
    }
}

void add_up(DType dtype, std::byte* sum, const std::byte* pieces, std::size_t count, int ranks) {
    dtype == DType::f64 ? add_up<double>(sum, pieces, count, ranks) : add_up<float>(sum, pieces, count, ranks);
}

class MpiCommunicator final : public Communicator {
public:
    MpiCommunicator() : exceptions_(std::uncaught_exceptions()) {
        int given = 0;
        ::MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given);
        if (given < MPI_THREAD_SERIALIZED) throw Error("MPI: this installation serves one thread of a process only; fovea needs MPI_THREAD_SERIALIZED");
        ::MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
        ::MPI_Comm_size(MPI_COMM_WORLD, &size_);
        // Calls of different kinds may pass one another; within a communicator all ranks make them in one order.
        for (MPI_Comm* channel : {&exchange_, &short_sums_, &scatter_, &gather_}) ::MPI_Comm_dup(MPI_COMM_WORLD, channel);
    }

    ~MpiCommunicator() override {
        if (std::uncaught_exceptions() > exceptions_) abort(1);  // the others would wait for this rank forever
        {
            const std::lock_guard lock(mutex_);
            progress_.request_stop();
        }
        wanted_.notify_all();
        if (progress_.joinable()) progress_.join();
        for (MPI_Comm* channel : {&exchange_, &short_sums_, &scatter_, &gather_}) ::MPI_Comm_free(channel);
        ::MPI_Finalize();
    }
    MpiCommunicator(const MpiCommunicator&) = delete;
    MpiCommunicator& operator=(const MpiCommunicator&) = delete;

    [[nodiscard]] int rank() const override { return rank_; }
    [[nodiscard]] int size() const override { return size_; }

    void start_sum(std::span<std::byte> values, DType dtype) override {
        if (dtype != DType::f32 && dtype != DType::f64) throw ArgumentError("ranks add up f32 and f64 only");
        if (size_ == 1 || values.empty()) return;
        const std::lock_guard lock(mutex_);
        auto sum = std::make_unique<Sum>();
        sum->values = values.data();
        sum->dtype = dtype;
        sum->type = dtype == DType::f64 ? MPI_DOUBLE : MPI_FLOAT;
        sum->count = values.size() / bytes_of(dtype);
        sum->is_short = values.size() <= short_bytes;
        sum->is_short ? start_short(*sum) : start_long(*sum);
        const bool is_long = !sum->is_short;
        sums_.push_back(std::move(sum));
        if (!is_long) return;
        ++long_sums_;
        if (!progress_.joinable()) progress_ = std::jthread([this](const std::stop_token& stop) { keep_going(stop); });
        wanted_.notify_one();
    }

    void finish_sum(const std::byte* values) override {
        if (size_ == 1) return;
        for (Patience patience;; patience.pause()) {
            const std::lock_guard lock(mutex_);
            const auto it = std::ranges::find_if(sums_, [&](const auto& sum) { return sum->values == values; });
            if (it == sums_.end()) return;  // of no values
            advance();
            if (!(*it)->is_done) continue;
            sums_.erase(it);
            return;
        }
    }

    void all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override {
        MPI_Request request{};
        const int bytes = static_cast<int>(mine.size());
        {
            const std::lock_guard lock(mutex_);
            ::MPI_Iallgather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, exchange_, &request);
        }
        wait(request);
    }

    void broadcast(std::span<std::byte> values, int root) override {
        constexpr std::size_t most = std::size_t{1} << 30;  // a count is an int
        for (std::size_t at = 0; at < values.size(); at += most) {
            MPI_Request request{};
            {
                const std::lock_guard lock(mutex_);
                ::MPI_Ibcast(values.data() + at, static_cast<int>(std::min(most, values.size() - at)), MPI_BYTE, root, exchange_, &request);
            }
            wait(request);
        }
    }

    void barrier() override {
        const std::byte mine{};
        std::vector<std::byte> all(static_cast<std::size_t>(size_));
        all_gather({&mine, 1}, all);
    }

    [[noreturn]] void abort(int code) noexcept override {
        ::MPI_Abort(MPI_COMM_WORLD, code);
        std::_Exit(code);
    }

private:
    struct Sum {
        std::byte* values = nullptr;
        DType dtype = DType::f32;
        MPI_Datatype type{};
        std::size_t count = 0;
        bool is_short = false, is_gathering = false, is_done = false;
        MPI_Request request{};
        std::unique_ptr<std::byte[]> pieces;       ///< of all ranks, of my share
        std::vector<int> counts, places;           ///< shares, in elements
        std::vector<int> mine_counts, mine_places; ///< of what comes: everybody's piece of my share
    };

    void start_short(Sum& sum) {
        sum.pieces.reset(new std::byte[sum.count * bytes_of(sum.dtype) * static_cast<std::size_t>(size_)]);
        const int count = static_cast<int>(sum.count);
        ::MPI_Iallgather(sum.values, count, sum.type, sum.pieces.get(), count, sum.type, short_sums_, &sum.request);
    }

    void start_long(Sum& sum) {
        for (int r = 0; r < size_; ++r) {
            const Share share = share_of(static_cast<std::int64_t>(sum.count), r, size_);
            sum.counts.push_back(static_cast<int>(share.size()));
            sum.places.push_back(static_cast<int>(share.begin));
        }
        const int mine = sum.counts[static_cast<std::size_t>(rank_)];
        for (int r = 0; r < size_; ++r) sum.mine_counts.push_back(mine), sum.mine_places.push_back(r * mine);
        sum.pieces.reset(new std::byte[static_cast<std::size_t>(mine) * static_cast<std::size_t>(size_) * bytes_of(sum.dtype)]);
        ::MPI_Ialltoallv(sum.values, sum.counts.data(), sum.places.data(), sum.type, sum.pieces.get(), sum.mine_counts.data(), sum.mine_places.data(), sum.type, scatter_, &sum.request);
    }

    /// Takes every sum as far as it goes. The shares of long sums are gathered in the order the sums were started in, as on every rank.
    void advance() {
        bool is_first_scatter = true;
        for (const auto& sum : sums_) {
            if (sum->is_done) continue;
            const bool is_scatter = !sum->is_short && !sum->is_gathering;
            int has_come = 0;
            ::MPI_Test(&sum->request, &has_come, MPI_STATUS_IGNORE);
            if (has_come == 0) {
                is_first_scatter &= !is_scatter;
                continue;
            }
            if (!is_scatter) {
                if (sum->is_short) add_up(sum->dtype, sum->values, sum->pieces.get(), sum->count, size_);
                sum->is_done = true;
                sum->pieces.reset();
                long_sums_ -= sum->is_short ? 0 : 1;
            } else if (is_first_scatter) {
                const auto mine = static_cast<std::size_t>(rank_);
                std::byte* share = sum->values + static_cast<std::size_t>(sum->places[mine]) * bytes_of(sum->dtype);
                add_up(sum->dtype, share, sum->pieces.get(), static_cast<std::size_t>(sum->counts[mine]), size_);
                sum->is_gathering = true;
                ::MPI_Iallgatherv(MPI_IN_PLACE, 0, sum->type, sum->values, sum->counts.data(), sum->places.data(), sum->type, gather_, &sum->request);
            }
        }
    }

    void keep_going(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (true) {
            wanted_.wait(lock, [&] { return stop.stop_requested() || long_sums_ > 0; });
            if (stop.stop_requested()) return;
            advance();
            lock.unlock();
            std::this_thread::sleep_for(nap);
            lock.lock();
        }
    }

    void wait(MPI_Request& request) {
        for (Patience patience;; patience.pause()) {
            const std::lock_guard lock(mutex_);
            int has_come = 0;
            ::MPI_Test(&request, &has_come, MPI_STATUS_IGNORE);
            if (has_come != 0) return;
        }
    }

    int rank_ = 0, size_ = 1, exceptions_ = 0;
    MPI_Comm exchange_{}, short_sums_{}, scatter_{}, gather_{};
    std::mutex mutex_;  // of MPI and of the sums
    std::deque<std::unique_ptr<Sum>> sums_;
    int long_sums_ = 0;  // not done
    std::condition_variable wanted_;
    std::jthread progress_;
};

}  // namespace

}  // namespace fovea

extern "C" {
const char* fovea_mpi_version() { return FOVEA_VERSION; }
fovea::Communicator* fovea_mpi_open() { return new fovea::MpiCommunicator; }  // owned by open_communicator()
}
