// What several ranks do together in a training step and around it: sums of gradients, one checkpoint for all, one evaluation of all parts.
#pragma once

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
/// Evaluations of the parts of a data set as one of the whole; `worst` of all mistakes are kept.
[[nodiscard]] Evaluation joined(Communicator* ranks, Evaluation mine, std::int64_t worst);
/// The same number where the same bytes lie under the same names.
[[nodiscard]] std::uint64_t fingerprint(const Parameters& parameters);

}  // namespace fovea
