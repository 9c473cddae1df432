#pragma once

#include <set>
#include <string>

#include "fovea/runtime.h"

namespace fovea {

/// The passes of compile() in order, up to recomputation. For inference, what depends on parameters alone moves to `prologue`; `derived`
/// names its results.
[[nodiscard]] Graph run_passes(const Graph& graph, const std::map<std::string, Shape>& input_shapes, const CompileOptions& options, Graph& prologue, std::set<std::string>& derived);

/// Replaces what depends on constants alone by its value.
[[nodiscard]] Graph fold_constants(const Graph& graph);

/// Moves what depends on parameters and constants alone into `prologue`, whose outputs become parameters of the result ("derived").
[[nodiscard]] Graph hoist_prologue(const Graph& graph, Graph& prologue, std::set<std::string>& derived);

}  // namespace fovea
