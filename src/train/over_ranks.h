// What several ranks do together in a training step and around it: sums of gradients, one checkpoint for all, one evaluation of all parts.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "fovea/comm.h"
#include "fovea/train.h"
#include "train/updater.h"

namespace fovea {

/// `gradients` become sums over all ranks, in buckets of about `bucket_bytes` in the order in which the reverse pass makes them. With the last go
/// the scalar outputs of the graph and batch norm's running statistics, each rank's by its share of the rows (input "share"): so all ranks
/// show the same loss and hold the same state.
void reduce_over_ranks(Graph& graph, std::vector<Value>& gradients, StepInputs& inputs, std::int64_t bucket_bytes);

/// The graph of `loss` with every batch norm over the batches of all ranks together; `loss` becomes the value there.
[[nodiscard]] Graph with_synchronised_norms(const Graph& graph, Value& loss);

/// Rank 0's, for all; `mine` counts nowhere else.
[[nodiscard]] Checkpoint from_first(Communicator* ranks, Checkpoint mine);
/// The items of all ranks, one rank's after another's.
template <class T> [[nodiscard]] std::vector<T> joined(Communicator* ranks, const std::vector<T>& mine) {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> all;
    for (const std::string& bytes : gathered(ranks, std::string_view(reinterpret_cast<const char*>(mine.data()), mine.size() * sizeof(T)))) {
        if (bytes.empty()) continue;  // an empty vector has no address
        const std::size_t first = all.size();
        all.resize(first + bytes.size() / sizeof(T));
        std::memcpy(all.data() + first, bytes.data(), bytes.size());
    }
    return all;
}
/// Evaluations of the parts of a data set as one of the whole; `worst` of all mistakes are kept.
[[nodiscard]] Evaluation joined(Communicator* ranks, Evaluation mine, std::int64_t worst);
/// The same number where the same bytes lie under the same names.
[[nodiscard]] std::uint64_t fingerprint(const Parameters& parameters);

}  // namespace fovea
