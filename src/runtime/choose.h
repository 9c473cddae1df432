// Choice by measurement: each distinct problem's candidates are timed once, and remembered.
#pragma once

#include "backends/backend.h"
#include "fovea/runtime.h"
#include "runtime/plan_cache.h"

namespace fovea {

/// What one compilation asks which of several kernels to take.
class Chooser {
public:
    Chooser(const Backend& backend, const CompileOptions& options, Precision precision);
    /// Writes what was measured.
    ~Chooser();
    Chooser(const Chooser&) = delete;
    Chooser& operator=(const Chooser&) = delete;

    /// PlanContext::choose.
    [[nodiscard]] int choose(const Node& node, std::vector<Candidate>& candidates, const std::function<std::optional<Kernel>(std::size_t)>& plan, const PlanContext& context) const;
    /// One line about the cache, once in a process.
    [[nodiscard]] std::string trouble() const { return cache_->take_trouble(); }

private:
    const Backend& backend_;
    const bool measures_;
    const Precision precision_;
    const std::shared_ptr<PlanCache> cache_;
};

/// A kernel and the reorders it causes, as the network would run them: on all threads, maps in the caches, weights from memory where the
/// program's do not stay in a cache. `elsewhere`: a layout of the result that other candidates give and plain kernels have to be brought to, or
/// null. Milliseconds, the least of some runs.
[[nodiscard]] double time_of(const Kernel& kernel, const Node& node, const PlanContext& context, const Backend& backend, const Layout& elsewhere);

}  // namespace fovea
